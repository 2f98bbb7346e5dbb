from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.projection import ProjectConfig, casa_normalise, project
from pipeline.sequence import from_clips, read_sequences, write_sequences
from pipeline.skeleton import Skeleton, load_skeleton

BODY = load_skeleton("body_25")
ROD = Skeleton(name="rod", joints=("a", "b", "c"), limbs=((0, 1), (1, 2)), zaxis=(0, 1), xaxis=(0, 2))
SEEDS = st.integers(0, 2**32 - 1)


def sequences_of(*joints, skeleton=ROD, poses="motion_capture", confidence=None):
    """One training clip and two validation clips of the given (T, K, D) joints; the last is repeated."""
    joints = [*joints, *[joints[-1]] * (3 - len(joints))]
    clips = [
        Clip(
            name=f"clip{n}",
            action="wave",
            split="train" if n == 0 else "val",
            joints=np.asarray(one, dtype=float),
            confidence=np.ones(np.shape(one)[:2]) if confidence is None else confidence[n],
            fps=30,
            events=(1, 2),
            group=f"g{n}",
        )
        for n, one in enumerate(joints)
    ]
    return from_clips(
        clips, dataset="test", skeleton=skeleton, event_names={"wave": ("up", "down")}, poses=poses, labels="exact"
    )


def slow_casa(pose, skeleton):
    """One frame, by two rotations: the zaxis onto z along the shortest way, then about z until the xaxis has y = 0."""
    pose = pose - pose[skeleton.zaxis[0]]
    pose = pose / np.linalg.norm(pose[skeleton.zaxis[1]])
    axis = np.cross(pose[skeleton.zaxis[1]], [0, 0, 1])
    angle = np.arccos(np.clip(pose[skeleton.zaxis[1]][2], -1, 1))
    pose = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).apply(pose)
    across = pose[skeleton.xaxis[1]] - pose[skeleton.xaxis[0]]
    return Rotation.from_euler("z", -np.arctan2(across[1], across[0])).apply(pose)


@pytest.mark.parametrize("name", ["body_25", "coco_17", "hands_42", "kinect_20"])
def test_casa_normalise_equals_two_rotations(name):
    skeleton = load_skeleton(name)
    joints = np.random.default_rng(0).normal(size=(6, skeleton.num_joints, 3))
    expected = np.stack([slow_casa(pose, skeleton) for pose in joints])
    np.testing.assert_allclose(casa_normalise(joints, skeleton), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.01, 100))
def test_casa_normalise_forgets_position_direction_and_size(seed, scale):
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(3, 25, 3))
    rotation = Rotation.random(rng=rng).as_matrix()
    moved = scale * joints @ rotation.T + rng.normal(size=3)
    np.testing.assert_allclose(casa_normalise(moved, BODY), casa_normalise(joints, BODY), atol=1e-6)


def test_casa_normalise_puts_the_axes_in_place():
    found = casa_normalise(np.random.default_rng(1).normal(size=(5, 25, 3)), BODY)
    np.testing.assert_allclose(found[:, 8], np.tile([0, 0, 1], (5, 1)), atol=1e-12)
    across = found[:, 5] - found[:, 1]
    assert (across[:, 0] > 0).all()
    np.testing.assert_allclose(across[:, 1], 0, atol=1e-12)


def test_a_frame_without_axes_is_missing_and_leaves_the_others_alone():
    good = [[0, 0, 0], [0, -1, 0], [1, 0, 0]]
    no_length = [[1, 1, 1], [1, 1, 1], [2, 1, 1]]
    parallel = [[0, 0, 0], [0, -1, 0], [0, 3, 0]]
    lacks_one = [[np.nan] * 3, [0, -1, 0], [1, 0, 0]]
    found = casa_normalise(np.array([good, no_length, parallel, lacks_one, good], dtype=float), ROD)
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [False, True, True, True, False]
    assert np.isfinite(found[[0, 4]]).all()


def test_a_skeleton_without_axes_is_refused():
    skeleton = replace(ROD, zaxis=None)
    with pytest.raises(InputError, match=r"'rod' lacks them.*normalise to none"):
        project(sequences_of(np.zeros((4, 3, 3)), skeleton=skeleton), ProjectConfig(normalise="casa"))


def test_depth_is_dropped_and_y_turned_down():
    # 4 wide, 2 high: the width fills the frame (0 to 8), the height is centred (2 to 6), depth plays no part.
    pose = [[0, 0, 5], [4, 2, -7], [2, 1, 100]]
    projected = project(sequences_of([pose] * 4), ProjectConfig(frame_px=9))
    np.testing.assert_allclose(projected.joints[0], [[0, 6], [8, 2], [4, 4]])
    assert projected.poses == "projected"
    assert projected.frame_size.tolist() == [[9, 9]] * 3


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        # The camera stands on +x: z points to the image's left.
        ({"azimuth_deg": 90}, [[8, 8], [8, 0], [0, 8]]),
        # From above: z points down in the image, y to the camera.
        ({"elevation_deg": 90}, [[4, 0], [4, 0], [4, 8]]),
    ],
)
def test_views_by_hand(view, expected):
    pose = [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    projected = project(sequences_of([pose] * 4), ProjectConfig(frame_px=9, **view))
    np.testing.assert_allclose(projected.joints[0], expected, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(-180, 180), st.floats(-90, 90))
def test_a_view_is_the_rotation_of_the_body_the_other_way(seed, azimuth, elevation):
    joints = np.random.default_rng(seed).normal(size=(4, 3, 3))
    turned = Rotation.from_euler("yx", [-azimuth, elevation], degrees=True).apply(joints.reshape(-1, 3))
    there = project(sequences_of(joints), ProjectConfig(azimuth_deg=azimuth, elevation_deg=elevation))
    here = project(sequences_of(turned.reshape(joints.shape)), ProjectConfig())
    np.testing.assert_allclose(there.joints, here.joints, atol=1e-2)


def test_casa_keeps_x_and_z_with_z_down():
    joints = np.random.default_rng(2).normal(size=(5, 25, 3))
    expected = casa_normalise(joints.astype(np.float32), BODY)[..., [0, 2]]
    low, high = expected.min(axis=(0, 1)), expected.max(axis=(0, 1))
    expected = (expected - (low + high) / 2) * 255 / (high - low).max() + 127.5
    projected = project(sequences_of(joints, skeleton=BODY), ProjectConfig(normalise="casa"))
    np.testing.assert_allclose(projected.joints[:5], expected, atol=1e-3)
    assert (projected.joints[:, 8, 1] > projected.joints[:, 1, 1]).all()  # hip below neck


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(["none", "casa"]), st.integers(2, 300), st.floats(1e-3, 1e3))
def test_every_sequence_fills_its_frame_with_one_scale(seed, normalise, frame_px, size):
    rng = np.random.default_rng(seed)
    clips = [size * rng.normal(size=(4, 3, 3)) + rng.normal(size=3) for _ in range(3)]
    seen = [(rng.random((4, 3)) > 0.2) | (np.arange(4)[:, None] == 0) for _ in clips]
    config = ProjectConfig(normalise=normalise, frame_px=frame_px)
    sequences = sequences_of(*clips, confidence=seen)
    projected = project(sequences, config)
    for n in range(3):
        frames = projected.frames(n)
        points = projected.joints[frames][projected.confidence[frames] > 0]
        extent = points.max(axis=0) - points.min(axis=0)
        assert points.min() >= 0 and points.max() <= frame_px - 1
        assert extent.max() == pytest.approx(frame_px - 1, rel=1e-5)
        np.testing.assert_allclose(points.min(axis=0) + points.max(axis=0), frame_px - 1, atol=1e-3)
    if normalise == "none":
        np.testing.assert_array_equal(projected.confidence, sequences.confidence)
        source = sequences.joints[sequences.frames(0)][0]
        ratios = np.diff(projected.joints[0], axis=0) / (np.diff(source[:, :2], axis=0) * [1, -1])
        np.testing.assert_allclose(ratios, ratios[0, 0], rtol=1e-2)


def test_missing_joints_do_not_stretch_the_frame():
    joints = np.tile(np.array([[0.0, 0, 0], [4, 2, 0], [2, 1, 0]]), (4, 1, 1))
    joints[:, 2] = 1e6
    confidence = np.tile([1.0, 0.5, 0.0], (4, 1))
    projected = project(sequences_of(joints, confidence=[confidence] * 3), ProjectConfig(frame_px=9))
    np.testing.assert_allclose(projected.joints[0], [[0, 6], [8, 2], [0, 0]])
    np.testing.assert_allclose(projected.confidence[0], [1, 0.5, 0])


def test_a_pose_that_is_one_point_lies_in_the_middle():
    projected = project(sequences_of(np.full((4, 3, 3), 7.0)), ProjectConfig(frame_px=11))
    np.testing.assert_array_equal(projected.joints, np.full((12, 3, 2), 5.0))


def test_2d_poses_pass_unchanged():
    sequences = sequences_of(np.ones((4, 3, 2)), poses="annotated")
    assert project(sequences, ProjectConfig(normalise="casa", azimuth_deg=30)) is sequences


def test_what_is_no_pose_is_kept(tmp_path):
    sequences = sequences_of(np.random.default_rng(3).normal(size=(6, 3, 3)), poses="synthetic")
    projected = project(sequences, ProjectConfig(normalise="casa"))
    for name in ("poses", "labels", "names", "actions", "splits", "groups", "event_names", "skeleton", "dataset"):
        assert getattr(projected, name) == getattr(sequences, name)
    for name in ("phase", "events", "offsets", "fps"):
        np.testing.assert_array_equal(getattr(projected, name), getattr(sequences, name))
    write_sequences(projected, tmp_path / "poses")
    np.testing.assert_array_equal(read_sequences(tmp_path / "poses").joints, projected.joints)


def test_a_sequence_that_casa_cannot_orient_is_left_out(caplog):
    good = np.random.default_rng(4).normal(size=(4, 3, 3))
    once_bad = good.copy()
    once_bad[2, 1] = once_bad[2, 0]
    sequences = sequences_of(once_bad, good, good)
    projected = project(sequences, ProjectConfig(normalise="casa"))
    assert projected.confidence[2].tolist() == [0, 0, 0] and projected.confidence.sum() == 33
    assert "1 frames of test have no body axes" in caplog.text
    clips = [good, good, good, np.zeros((4, 3, 3))]
    extra = [
        Clip(f"c{n}", "wave", "val" if n else "train", joints, np.ones((4, 3)), 30.0) for n, joints in enumerate(clips)
    ]
    sequences = from_clips(extra, dataset="d", skeleton=ROD, event_names={}, poses="motion_capture", labels="none")
    projected = project(sequences, ProjectConfig(normalise="casa"))
    assert projected.names == ("c0", "c1", "c2")
    assert projected.left_out == {"c3": "no joint in any frame"}
