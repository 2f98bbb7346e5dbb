import numpy as np
import pytest

from pipeline.crop import crop_box, to_grid
from pipeline.metrics.controls import majority, raw_pose, time_only


def test_time_only_is_the_share_of_the_clip():
    found = time_only(np.array([4, 2]))
    assert found.dtype == np.float32
    assert found[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 0, 0.5]


def test_raw_pose_lies_in_the_box_as_the_heatmaps_do():
    rng = np.random.default_rng(0)
    joints = rng.integers([100, 30], [300, 500], (20, 5, 2)).astype(np.float32)
    confidence = np.ones((20, 5), dtype=np.float32)
    offsets = np.array([0, 8, 20])
    boxes = np.stack([crop_box(joints[:8], confidence[:8]), crop_box(joints[8:], confidence[8:])])
    found = raw_pose(joints, confidence, boxes, offsets)
    assert found.shape == (20, 10) and found.dtype == np.float32
    assert np.abs(found).max() <= 1
    grid = np.concatenate([to_grid(joints[:8], boxes[0], 30), to_grid(joints[8:], boxes[1], 30)])
    np.testing.assert_allclose(found.reshape(20, 5, 2), (grid + 0.5) / 15 - 1, atol=1e-5)


def test_missing_joints_are_interpolated_within_their_clip_only():
    box = np.array([[0, 0, 10, 10]] * 2, dtype=np.float32)
    joints = np.full((9, 2, 2), 77, dtype=np.float32)  # nonsense where missing
    confidence = np.zeros((9, 2))
    joints[1, 0], joints[4, 0], joints[7, 0] = (2, 5), (8, 5), (1, 1)
    confidence[[1, 4, 7], 0] = 1
    found = raw_pose(joints, confidence, box, np.array([0, 6, 9])).reshape(9, 2, 2)
    # x = 2 is -0.5 and x = 8 is 0.7 of the box: a line between, held at the ends; the second clip knows one frame.
    assert found[:, 0, 0] == pytest.approx([-0.5, -0.5, -0.1, 0.3, 0.7, 0.7, -0.7, -0.7, -0.7], abs=1e-6)
    assert (found[:, 1] == 0).all()  # never seen: the box centre


def test_majority_counts_labelled_frames():
    assert majority(np.array([-1, -1, -1, 2, 2, 1])) == 2
    assert majority(np.array([3, 1, 1, 3])) == 1
