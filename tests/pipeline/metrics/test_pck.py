import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.metrics.pck import common_joints, pck, torso_size
from pipeline.skeleton import load_skeleton


def test_by_hand():
    # Two joints, four frames, torso 50 px: correct within 5 px.
    reference = np.zeros((4, 2, 2))
    joints = np.array([[[3, 4], [3, 4.1]], [[0, 0], [9, 9]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]], dtype=float)
    confidence = np.array([[1, 1], [0, 1], [1, 1], [1, 1]])
    reference_confidence = np.array([[1, 1], [1, 0], [1, 1], [1, 1]])
    size_px = np.array([50, 50, np.nan, 0])
    found = pck(joints, confidence, reference, reference_confidence, size_px)
    # First joint: exactly 5 px off is correct, missing in the second frame is wrong. Second: 5.08 px off, then not in the
    # reference. The torso of the last two frames is unknown, or has no size.
    assert found.counts.tolist() == [2, 1]
    assert found.values.tolist() == [0.5, 0.0]


def test_against_loops():
    rng = np.random.default_rng(0)
    joints, reference = rng.normal(0, 10, (2, 30, 5, 2))
    confidence, reference_confidence = rng.choice([0, 0.5, np.nan], (2, 30, 5))
    reference[np.isnan(reference_confidence)] = np.nan
    size_px = rng.choice([np.nan, 0, 40, 90], 30)
    found = pck(joints, confidence, reference, reference_confidence, size_px, threshold=0.2)
    for k in range(5):
        correct = []
        for t in range(30):
            if reference_confidence[t, k] > 0 and size_px[t] > 0:
                close = np.hypot(*(joints[t, k] - reference[t, k])) <= 0.2 * size_px[t]
                correct.append(bool(confidence[t, k] > 0 and close))
        assert found.counts[k] == len(correct)
        assert found.values[k] == pytest.approx(np.mean(correct))


def test_a_joint_that_the_reference_never_has_has_no_value():
    found = pck(np.zeros((3, 1, 2)), np.ones((3, 1)), np.zeros((3, 1, 2)), np.zeros((3, 1)), np.ones(3))
    assert np.isnan(found.values[0]) and found.counts[0] == 0


def test_torso_is_the_longer_side_of_the_box_and_unknown_without_a_hip():
    skeleton = load_skeleton("coco_17")
    joints, confidence = np.full((3, 17, 2), 1000.0), np.ones((3, 17))
    torso = [skeleton.joints.index(f"{side}_{joint}") for joint in ("shoulder", "hip") for side in ("left", "right")]
    joints[0, torso] = [[0, 0], [30, 5], [2, 80], [28, 60]]  # upright
    joints[1, torso] = [[0, 0], [5, 30], [80, 2], [60, 28]]  # lying
    confidence[2, torso[2]] = 0
    np.testing.assert_array_equal(torso_size(joints, confidence, skeleton), [80, 80, np.nan])
    with pytest.raises(InputError, match="left_shoulder"):
        torso_size(np.zeros((1, 21, 2)), np.ones((1, 21)), load_skeleton("hand_21"))


def test_skeletons_of_people_share_their_twelve_limb_joints_by_name():
    sides = [
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ]
    names = ("coco_17", "mediapipe_33", "body_25", "penn_13", "kinect_20")
    for a, b in [(load_skeleton(a), load_skeleton(b)) for a in names for b in names]:
        pairs = common_joints(a, b)
        assert all(a.joints[i] == b.joints[j] for i, j in pairs)
        assert set(sides) <= {a.joints[i] for i, _ in pairs}
    assert len(common_joints(load_skeleton("coco_17"), load_skeleton("mediapipe_33"))) == 17
    assert common_joints(load_skeleton("coco_17"), load_skeleton("hand_21")) == []
