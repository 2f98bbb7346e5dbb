import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation import AugmentationConfig, augment, drop_frames, flip, rotate_chain
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("penn_13")
OFF = {"temporal_prob": 0, "orientation_prob": 0, "flip_prob": 0, "position_prob": 0}
PX = np.array([8.0, 3.0], np.float32)


def pose(num_frames=40, seed=0):
    rng = np.random.default_rng(seed)
    uv = rng.uniform(0, 29, (num_frames, 13, 2)).astype(np.float32)
    return uv, (rng.random((num_frames, 13)) > 0.2).astype(np.float32)


def run(seed=0, uv=None, **settings):
    uv, confidence = pose() if uv is None else (uv, np.ones(uv.shape[:2], np.float32))
    config = AugmentationConfig(**{**OFF, **settings})
    return uv, confidence, augment(uv, confidence, PX, SKELETON, 30, config, np.random.default_rng(seed))


def test_everything_off_changes_nothing():
    uv, confidence, result = run()
    np.testing.assert_array_equal(result.uv, uv)
    np.testing.assert_array_equal(result.confidence, confidence)
    np.testing.assert_array_equal(result.index, np.arange(40))


@given(num_frames=st.integers(4, 200), share=st.floats(0, 0.5), seed=st.integers(0, 99))
def test_dropping_frames_keeps_order_and_count(num_frames, share, seed):
    kept = drop_frames(num_frames, share, np.random.default_rng(seed))
    assert len(kept) == num_frames - int(share * num_frames)
    assert (np.diff(kept) > 0).all() and kept.min() >= 0 and kept.max() < num_frames


def test_temporal_labels_name_the_frames_that_remain():
    uv, confidence, result = run(seed=1, temporal_prob=1)
    assert 20 <= len(result.index) < 40
    np.testing.assert_array_equal(result.uv, uv[result.index])
    np.testing.assert_array_equal(result.confidence, confidence[result.index])


def test_rotation_keeps_limb_lengths_in_frame_pixels_and_other_joints():
    uv, _ = pose()
    chain = SKELETON.chains["left_arm"]
    turned = rotate_chain(uv, chain, np.full(40, 0.3, np.float32), PX)
    before, after = (uv[:, list(chain)] * PX, turned[:, list(chain)] * PX)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(after, axis=1), axis=2), np.linalg.norm(np.diff(before, axis=1), axis=2), rtol=1e-4
    )
    offset = np.stack([before[:, 1] - before[:, 0], after[:, 1] - after[:, 0]])
    angle = np.arctan2(offset[..., 1], offset[..., 0])
    np.testing.assert_allclose((angle[1] - angle[0] + np.pi) % (2 * np.pi) - np.pi, 0.3, atol=1e-4)
    others = [joint for joint in range(13) if joint not in chain[1:]]
    np.testing.assert_array_equal(turned[:, others], uv[:, others])


def test_orientation_noise_has_the_stated_std():
    uv = np.zeros((20_000, 13, 2), np.float32)
    uv[:, :, 0] = np.arange(13)
    result = run(uv=uv, orientation_prob=1, orientation_rad=0.1)[2]
    moved = np.flatnonzero(np.abs(result.uv - uv).max((0, 2)))
    chain = next(c for c in SKELETON.chains.values() if set(moved) == set(c[1:]))
    offset = (result.uv[:, chain[1]] - result.uv[:, chain[0]]) * PX
    assert np.arctan2(offset[:, 1], offset[:, 0]).std() == pytest.approx(0.1, rel=0.03)


def test_nothing_turns_about_a_missing_joint():
    uv, confidence = pose()
    confidence[:, 1:] = 1
    for joint in {chain[0] for chain in SKELETON.chains.values()}:
        confidence[::2, joint] = 0
    config = AugmentationConfig(**OFF | {"orientation_prob": 1, "orientation_rad": 0.5})
    for seed in range(10):
        turned = augment(uv, confidence, PX, SKELETON, 30, config, np.random.default_rng(seed)).uv
        np.testing.assert_allclose(turned[::2], uv[::2], atol=1e-5)
        assert np.abs(turned[1::2] - uv[1::2]).max() > 1


def test_flip_twice_is_the_identity_and_sides_exchange():
    uv, confidence = pose()
    once = flip(uv, confidence, 30, SKELETON.mirrored)
    left, right = SKELETON.joints.index("left_wrist"), SKELETON.joints.index("right_wrist")
    np.testing.assert_allclose(once[0][:, left, 0], 29 - uv[:, right, 0])
    np.testing.assert_array_equal(once[1][:, left], confidence[:, right])
    twice = flip(*once, 30, SKELETON.mirrored)
    np.testing.assert_allclose(twice[0], uv, atol=1e-5)
    np.testing.assert_array_equal(twice[1], confidence)
    mirror_only = flip(uv, confidence, 30, None)
    np.testing.assert_allclose(mirror_only[0][:, left, 0], 29 - uv[:, left, 0])


@pytest.mark.parametrize("smooth", [0.0, 5.0])
def test_position_noise_has_one_heatmap_pixel_of_std(smooth):
    uv = np.full((4000, 13, 2), 15, np.float32)
    noise = run(uv=uv, position_prob=1, position_px=1.0, smooth_frames=smooth)[2].uv - uv
    assert noise.std() == pytest.approx(1, rel=0.03)
    lag = (noise[1:] * noise[:-1]).mean()
    assert lag > 0.9 if smooth else abs(lag) < 0.03


def test_probabilities_are_those_of_the_settings():
    flips = sum(run(seed, flip_prob=0.3)[2].uv[0, 0, 0] != run()[0][0, 0, 0] for seed in range(1000))
    assert flips / 1000 == pytest.approx(0.3, abs=0.05)


def test_same_generator_state_gives_the_same_sequence():
    settings = {"temporal_prob": 1, "orientation_prob": 1, "flip_prob": 0.5, "position_prob": 1}
    for seed in range(5):
        np.testing.assert_array_equal(run(seed, **settings)[2].uv, run(seed, **settings)[2].uv)
