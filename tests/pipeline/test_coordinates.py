"""Coordinates of joints as a network sees them, against normalisation and augmentation written out joint by joint."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pipeline.augmentation import AugmentationConfig, Augmented
from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.coordinates import in_body_axes, in_torso_lengths, load_2d, load_3d, turn
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths, Stores
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton

BODY = load_skeleton("body_25")
NECK, LEFT_SHOULDER, HIP = BODY.joints.index("neck"), BODY.joints.index("left_shoulder"), BODY.joints.index("mid_hip")
STILL = AugmentationConfig(orientation_prob=0, position_prob=0)
CPU = torch.device("cpu")


def poses(lengths=(9, 7, 12), axes=3, skeleton=BODY, missing=(), seed=0):
    """Sequences of random walks; missing: (sequence, frame or slice, joint)."""
    rng = np.random.default_rng(seed)
    clips = []
    for n, length in enumerate(lengths):
        joints = (
            100
            + rng.normal(0, 20, (1, skeleton.num_joints, axes))
            + rng.normal(0, 1, (length, skeleton.num_joints, axes)).cumsum(axis=0)
        )
        confidence = np.ones(joints.shape[:2])
        for sequence, frame, joint in missing:
            if sequence == n:
                confidence[frame, joint] = 0
        clips.append(Clip(f"clip{n}", "wave", "val" if n else "train", joints, confidence, fps=30.0))
    return from_clips(clips, dataset="waves", skeleton=skeleton, event_names={}, poses="annotated", labels="none")


def load(sequences, **settings):
    if sequences.joints.shape[2] == 2:
        return load_2d(Stores(sequences, None), **settings)
    return load_3d(Stores(sequences, None, extracted=sequences), **settings)


def drawn(index, flipped=False):
    """What the skeletons' augmentation tells the other modalities: frames and flip; its own joints do not matter."""
    uv = np.full((len(index), 25, 2), np.nan, dtype=np.float32)
    return Augmented(uv, uv[..., 0], np.array(index), flipped)


def pair(source, number=0, index=None, flipped=False, seed=0, **settings):
    """The augmented joints of one sequence, (N, K, d)."""
    index = np.arange(len(source.original(number))) if index is None else index
    config = STILL.model_copy(update=settings)
    original, augmented = source.pairs([number], [drawn(index, flipped)], config, np.random.default_rng(seed), CPU)
    np.testing.assert_array_equal(original.numpy(), source.original(number))
    assert original.dtype == augmented.dtype == torch.float32
    return augmented.numpy()


def slow_body_axes(pose):
    """One frame: the neck at the origin, the hip at (0, 0, 1), the left shoulder above +x, by three dot products."""
    origin, hip, shoulder = pose[NECK], pose[HIP], pose[LEFT_SHOULDER]
    length = math.dist(origin, hip)
    z = [(hip[i] - origin[i]) / length for i in range(3)]
    across = [shoulder[i] - origin[i] for i in range(3)]
    along = sum(across[i] * z[i] for i in range(3))
    x = [across[i] - along * z[i] for i in range(3)]
    size = math.sqrt(sum(value**2 for value in x))
    x = [value / size for value in x]
    y = [z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]]
    return [[sum((joint[i] - origin[i]) * axis[i] for i in range(3)) / length for axis in (x, y, z)] for joint in pose]


def test_3d_coordinates_are_normalised_frame_by_frame():
    sequences = poses()
    source = load(sequences)
    assert source.shape == (25, 3) and source.limbs == BODY.limbs
    for n in range(3):
        expected = [slow_body_axes(pose) for pose in sequences.joints[sequences.frames(n)].tolist()]
        np.testing.assert_allclose(source.original(n), expected, atol=1e-5)
    np.testing.assert_array_equal(source.original(1, np.array([3, 3, 5])), source.original(1)[[3, 3, 5]])


def test_casas_code_differs_by_a_turn_about_the_torso_only():
    """It first turns left shoulder -> neck onto +x, then neck -> hip onto +z, each the shortest way."""

    def onto(a, b):
        axis = np.cross(a, b)
        angle = math.acos(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()

    sequences = poses()
    for pose, found in zip(sequences.joints[:9].astype(float), load(sequences).original(0), strict=True):
        pose = pose - pose[NECK]
        pose = pose @ onto(pose[NECK] - pose[LEFT_SHOULDER], [1, 0, 0]).T
        pose = pose @ onto(pose[HIP], [0, 0, 1]).T
        pose = pose / np.linalg.norm(pose[HIP])
        np.testing.assert_allclose(found[:, 2], pose[:, 2], atol=1e-4)
        ratio = (found[:, 0] + 1j * found[:, 1])[2:8] / (pose[:, 0] + 1j * pose[:, 1])[2:8]
        np.testing.assert_allclose(ratio, ratio[0], atol=1e-3)
        assert abs(ratio[0]) == pytest.approx(1, abs=1e-4)


def test_2d_coordinates_have_the_neck_at_the_origin_and_the_median_torso_as_unit():
    sequences = poses(axes=2)
    source = load(sequences)
    assert source.shape == (25, 2)
    joints = sequences.joints[sequences.frames(2)].astype(float)
    torso = sorted(math.dist(pose[NECK], pose[HIP]) for pose in joints)
    unit = (torso[5] + torso[6]) / 2  # of twelve
    np.testing.assert_allclose(source.original(2), (joints - joints[:, [NECK]]) / unit, atol=1e-5)


def test_2d_torso_of_a_body_seen_from_one_side():
    """A skeleton without a neck: the middle of both shoulders, or the one that is seen."""
    skeleton = load_skeleton("coco_17")
    shoulders, hips = [5, 6], [11, 12]
    rng = np.random.default_rng(0)
    joints, confidence = rng.normal(size=(6, 17, 2)), np.ones((6, 17))
    found = in_torso_lengths(joints, confidence, skeleton)
    np.testing.assert_allclose(found[:, shoulders].mean(axis=1), 0, atol=1e-12)
    unit = np.median(np.linalg.norm(found[:, hips].mean(axis=1), axis=1))
    assert unit == pytest.approx(1)
    confidence[:, 5] = 0
    found = in_torso_lengths(joints, confidence, skeleton)
    assert np.isnan(found[:, 5]).all()
    np.testing.assert_allclose(found[:, 6], 0, atol=1e-12)


def test_2d_without_a_torso_is_measured_by_all_joints():
    skeleton = load_skeleton("coco_17")
    joints = np.random.default_rng(0).normal(size=(6, 17, 2))
    confidence = np.ones((6, 17))
    confidence[:, [11, 12]] = 0
    for found in (
        in_torso_lengths(joints, confidence, skeleton),
        in_torso_lengths(joints, confidence, replace(skeleton, zaxis=None)),
    ):
        seen = found[:, confidence[0] > 0]
        np.testing.assert_allclose(seen.mean(axis=1), 0, atol=1e-12)
        assert (seen**2).sum(axis=2).mean() == pytest.approx(1)
    one = np.zeros((6, 17))
    one[:, 3] = 1
    assert (in_torso_lengths(joints, one, skeleton)[:, 3] == 0).all()


@pytest.mark.parametrize("axes", [2, 3])
def test_missing_joints_lie_on_a_line_between_their_neighbours_and_unseen_ones_at_the_origin(axes):
    wrist, ear = 4, 17
    missing = [(0, slice(3, 5), wrist), (0, slice(0, 2), wrist), (1, slice(None), ear)]
    sequences, whole = poses(axes=axes, missing=missing), poses(axes=axes)
    joints = whole.joints.astype(float)
    for frame, share in ((3, 1 / 3), (4, 2 / 3)):
        joints[frame, wrist] = (1 - share) * joints[2, wrist] + share * joints[5, wrist]
    joints[:2, wrist] = joints[2, wrist]
    expected = load(replace(whole, joints=joints))
    source = load(sequences)
    np.testing.assert_allclose(source.original(0), expected.original(0), atol=1e-5)
    assert (source.original(1)[:, ear] == 0).all()
    np.testing.assert_allclose(
        np.delete(source.original(1), ear, 1), np.delete(expected.original(1), ear, 1), atol=1e-5
    )
    augmented = pair(source, 1, flipped=True, orientation_prob=1, position_prob=1, flip_exchanges_sides=False)
    assert (augmented[:, ear] == 0).all() and np.isfinite(augmented).all()


WRIST, OTHER_WRIST = BODY.joints.index("left_wrist"), BODY.joints.index("right_wrist")


@pytest.mark.parametrize("axes", [2, 3])
def test_a_joint_that_is_taken_away_lies_at_the_origin_in_its_frame_and_nothing_else_changes(axes):
    whole, without = (load(poses(axes=axes, missing=gap), missing="zero") for gap in ((), [(0, 4, WRIST)]))
    np.testing.assert_array_equal(whole.original(0), load(poses(axes=axes)).original(0))
    expected = whole.original(0).copy()
    expected[4, WRIST] = 0
    np.testing.assert_array_equal(without.original(0), expected)
    np.testing.assert_array_equal(without.original(0, np.array([4, 4, 5])), expected[[4, 4, 5]])
    np.testing.assert_array_equal(without.original(1), whole.original(1))


def test_a_joint_of_the_axes_that_is_taken_away_is_interpolated_for_the_others():
    missing = [(0, 4, HIP)]
    interpolated, zero = (load(poses(missing=missing), missing=how).original(0) for how in ("interpolate", "zero"))
    np.testing.assert_allclose(interpolated[4, HIP], (0, 0, 1), atol=1e-6)
    assert (zero[4, HIP] == 0).all()
    np.testing.assert_array_equal(np.delete(zero, HIP, 1), np.delete(interpolated, HIP, 1))
    np.testing.assert_array_equal(np.delete(zero, 4, 0), np.delete(interpolated, 4, 0))


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("flipped, exchange", [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("joint", [WRIST, HIP])
def test_augmentation_keeps_a_joint_that_is_taken_away_at_the_origin(axes, flipped, exchange, joint):
    """It moves the others as if the joint were interpolated; a flip that exchanges the sides takes it along."""
    interpolated, zero = (load(poses(axes=axes, missing=[(0, 4, joint)]), missing=m) for m in ("interpolate", "zero"))
    index = [0, 3, 4, 4, 7]
    settings = {"orientation_prob": 1, "position_prob": 1, "flip_exchanges_sides": exchange}
    expected = pair(interpolated, 0, index, flipped, **settings)
    assert (expected[2:4, [WRIST, OTHER_WRIST, HIP]] != 0).all()
    expected[2:4, OTHER_WRIST if flipped and exchange and joint == WRIST else joint] = 0
    np.testing.assert_array_equal(pair(zero, 0, index, flipped, **settings), expected)


def test_a_frame_without_a_joint_of_the_axes_keeps_the_others():
    """The hip is taken from its neighbours in time, so the wrist of that frame is still its own."""
    sequences = poses(missing=[(0, 4, HIP)])
    hip = (sequences.joints[3, HIP] + sequences.joints[5, HIP]) / 2
    pose = sequences.joints[4].copy()
    pose[HIP] = hip
    np.testing.assert_allclose(load(sequences).original(0)[4], slow_body_axes(pose.tolist()), atol=1e-5)


def test_a_frame_whose_axes_have_no_direction_is_interpolated():
    joints = poses().joints[:9].astype(float)
    joints[4, HIP] = joints[4, NECK]
    found = in_body_axes(joints, np.ones(joints.shape[:2]), BODY)
    np.testing.assert_allclose(found[4], (found[3] + found[5]) / 2)


def test_a_sequence_without_axes_lies_at_the_origin_and_is_told(caplog):
    source = load(poses(missing=[(1, slice(None), NECK)]))
    assert (source.original(1) == 0).all() and (pair(source, 1, flipped=True, orientation_prob=1) == 0).all()
    assert "clip1 of waves has no body axes" in caplog.text


@pytest.mark.parametrize("axes", [2, 3])
def test_without_augmentation_the_drawn_frames_are_the_originals(axes):
    source = load(poses(axes=axes))
    np.testing.assert_allclose(pair(source, 2, [0, 3, 4, 11]), source.original(2)[[0, 3, 4, 11]], atol=1e-6)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_flipped_3d_body_is_mirrored_and_normalised_again(exchange):
    """CASA's flip. Without exchange the x axis points the other way and is turned back: front and back are mirrored."""
    source = load(poses())
    found = pair(source, 0, flipped=True, flip_exchanges_sides=exchange)
    expected = source.original(0) * (-1, 1, 1)
    if exchange:
        expected = expected[:, BODY.mirrored]
    expected = [slow_body_axes(pose) for pose in expected.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    if not exchange:
        np.testing.assert_allclose(found, source.original(0) * (1, -1, 1), atol=1e-4)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_flipped_2d_body_is_mirrored(exchange):
    source = load(poses(axes=2))
    found = pair(source, 0, [0, 5, 6], flipped=True, flip_exchanges_sides=exchange)
    expected = source.original(0)[[0, 5, 6]] * (-1, 1)
    np.testing.assert_allclose(found, expected[:, BODY.mirrored] if exchange else expected, atol=1e-6)


def test_turning_a_chain_by_hand():
    joints = np.array([[[1.0, 1, 0], [2, 1, 0], [3, 1, 0], [9, 9, 9]]] * 2)
    quarter = math.pi / 2
    found = turn(joints, (0, 1, 2), np.array([[0, 0, quarter], [0, -quarter, 0]]))
    np.testing.assert_allclose(found[0], [[1, 1, 0], [1, 2, 0], [1, 3, 0], [9, 9, 9]], atol=1e-12)  # x to y
    np.testing.assert_allclose(found[1], [[1, 1, 0], [1, 1, 1], [1, 1, 2], [9, 9, 9]], atol=1e-12)  # x to z
    flat = turn(joints[..., :2], (0, 1, 2), np.array([[quarter], [0]]))
    np.testing.assert_allclose(flat[0], [[1, 1], [1, 2], [1, 3], [9, 9]], atol=1e-12)
    np.testing.assert_array_equal(flat[1], joints[1, :, :2])
    joints[:, 0] = np.nan  # no place to turn about
    np.testing.assert_array_equal(turn(joints, (0, 1, 2), np.ones((2, 3))), joints)


@pytest.mark.parametrize("axes", [2, 3])
def test_orientation_turns_one_chain_about_its_first_joint_and_keeps_bones(axes):
    source = load(poses(axes=axes))
    original = source.original(0).astype(float)
    moved_by_seed = set()
    for seed in range(20):
        found = pair(source, 0, seed=seed, orientation_prob=1, orientation_rad=0.3).astype(float)
        moved = np.flatnonzero(np.abs(found - original).max(axis=(0, 2)) > 1e-4)
        chain = next(chain for chain in BODY.chains.values() if set(chain[1:]) == set(moved))
        moved_by_seed.add(chain)
        for a, b in BODY.limbs:
            if a in chain and b in chain:
                bone, before = (np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for joints in (found, original))
                np.testing.assert_allclose(bone, before, atol=1e-4)
    assert len(moved_by_seed) > 3


@pytest.mark.parametrize("axes", [2, 3])
def test_position_noise_has_the_stated_std_in_torso_lengths(axes):
    source = load(poses(lengths=(400, 9, 9), axes=axes))
    added = pair(source, position_prob=1, position_torso=0.25) - source.original(0)
    assert added.std() == pytest.approx(0.25, rel=0.02) and abs(added.mean()) < 0.01
    assert np.abs(pair(source, position_prob=0) - source.original(0)).max() < 1e-5


def test_the_same_generator_draws_the_same_and_probabilities_are_kept():
    source = load(poses())
    settings = {"orientation_prob": 0.5, "position_prob": 0.5}
    np.testing.assert_array_equal(pair(source, seed=3, **settings), pair(source, seed=3, **settings))
    config = STILL.model_copy(update=settings)
    originals, augmented = source.pairs([0] * 400, [drawn(np.arange(9))] * 400, config, np.random.default_rng(0), CPU)
    moved = (augmented - originals).abs().view(400, -1).amax(dim=1) > 1e-5
    assert moved.float().mean().item() == pytest.approx(
        0.75, abs=3 * 0.022
    )  # one less a quarter, three standard errors


def stored(tmp_path, channels="joints+limbs", **options):
    sequences = poses(**options)
    flat = project(sequences, ProjectConfig())
    paths = Paths(*(tmp_path / name for name in ("poses", "heatmaps", "frames", "extracted")))
    write_sequences(sequences, paths.extracted)
    write_sequences(flat, paths.poses)
    write_heatmaps(flat, paths.poses, paths.heatmaps, RenderConfig(channels=channels), "synchronous")
    return paths, sequences


def test_extracted_poses_are_found_by_name(tmp_path):
    """Here another order and one sequence more, as where the projection leaves one out."""
    paths, sequences = stored(tmp_path)
    stores = paths.open(("pose3d", "joints2d"))
    assert list(paths.made_from(("pose3d",))) == ["poses", "heatmaps", "extracted"]
    assert list(paths.made_from(("joints2d",))) == ["poses", "heatmaps"]
    assert paths.open(("pose2d",)).extracted is None
    order = [2, 0, 1]
    frames = np.concatenate([np.arange(s.start, s.stop) for s in (sequences.frames(n) for n in order)])
    shuffled = replace(
        sequences,
        joints=sequences.joints[frames],
        confidence=sequences.confidence[frames],
        offsets=np.cumsum([0, *sequences.lengths[order]]),
        names=tuple(sequences.names[n] for n in order),
    )
    expected = load_modalities(("pose3d",), stores)["pose3d"]
    found = load_modalities(("pose3d",), stores._replace(extracted=shuffled))["pose3d"]
    for n in range(3):
        np.testing.assert_array_equal(found.original(n), expected.original(n))


@pytest.mark.parametrize("name", ["joints2d", "pose3d"])
def test_inputs_with_missing_joints_at_the_origin_have_their_names(tmp_path, name):
    paths, _ = stored(tmp_path, missing=[(0, 4, WRIST)])
    names = (name, f"{name}-zero")
    interpolated, zero = (each.original(0) for each in load_modalities(names, paths.open(names)).values())
    assert np.argwhere((interpolated != zero).any(axis=2)).tolist() == [[4, WRIST]] and (zero[4, WRIST] == 0).all()


def test_extracted_poses_of_other_sequences_are_refused(tmp_path):
    paths, _ = stored(tmp_path)
    write_sequences(poses(lengths=(9, 8, 12)), paths.extracted)
    with pytest.raises(InputError, match=r"Expected 7 frames of 'clip1'.*got 8 frames.*Run the stages extract"):
        paths.open(("pose3d",))
    others = poses()
    write_sequences(replace(others, names=("clip0", "clip1", "other")), paths.extracted)
    with pytest.raises(InputError, match=r"Expected 12 frames of 'clip2'.*got no such sequence"):
        paths.open(("pose3d",))
    with pytest.raises(InputError, match=r"come without\. Choose an input other than pose3d"):
        replace(paths, extracted=None).open(("pose3d",))


def test_what_pose3d_cannot_be_made_from_is_refused_by_name(tmp_path):
    paths, _ = stored(tmp_path, axes=2)
    for name in ("pose3d", "pose3d-zero"):
        with pytest.raises(InputError, match="those of data set 'waves' are 2D"):
            load_modalities((name,), paths.open((name,)))
    sequences = poses()
    bare = replace(sequences, skeleton=replace(BODY, xaxis=None))
    with pytest.raises(InputError, match="'body_25' of data set 'waves' lacks them"):
        load(bare)


def test_joints_or_limbs_alone_are_channels_of_both(tmp_path):
    paths, _ = stored(tmp_path)
    names = ("pose2d", "pose2d-joints", "pose2d-limbs")
    both, joints, limbs = load_modalities(names, paths.open(names)).values()
    assert (both.shape, joints.shape, limbs.shape) == ((49, 30, 30), (25, 30, 30), (24, 30, 30))
    np.testing.assert_array_equal(joints.original(1), both.original(1)[:, :25])
    np.testing.assert_array_equal(limbs.original(1), both.original(1)[:, 25:])
    rng = np.random.default_rng(0)
    moved = replace(drawn([0, 2, 3, 4]), uv=rng.uniform(0, 29, (4, 25, 2)).astype(np.float32))
    moved = replace(moved, confidence=np.ones((4, 25), np.float32))
    whole, part_joints, part_limbs = (
        source.pairs([1], [moved], STILL, rng, CPU)[1].numpy() for source in (both, joints, limbs)
    )
    np.testing.assert_array_equal(np.concatenate([part_joints, part_limbs], axis=1), whole)


def test_joints_or_limbs_that_were_not_drawn_are_refused(tmp_path):
    paths, _ = stored(tmp_path, channels="limbs")
    stores = paths.open(("pose2d-limbs",))
    assert load_modalities(("pose2d-limbs",), stores)["pose2d-limbs"].shape == (24, 30, 30)
    with pytest.raises(InputError, match=r"Expected heatmaps of joints for the input pose2d-joints.*show limbs"):
        load_modalities(("pose2d-joints",), stores)
