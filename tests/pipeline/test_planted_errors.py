"""What is planted is what is said to be planted."""

import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.planted_errors import pause, skipped_phase, wrong_limb
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("penn_13")
STILL = np.random.default_rng(0).uniform(0, 100, (13, 2))


@pytest.fixture
def clip():
    """60 frames at 10 fps: stands, moves on in frames 20 to 40, stands; frame 15 to 20 is a hold."""
    way = np.clip(np.arange(60) - 20, 0, 20)[:, None, None] * np.ones((1, 13, 2))
    return Clip("c", "wave", "val", STILL + way, np.ones((60, 13)), 10.0, events=(15, 20, 40), video="c.mp4")


def test_a_skipped_phase_is_the_movement_cut_out(clip):
    found = skipped_phase(clip, SKELETON, np.random.default_rng(0))
    assert np.flatnonzero(found.frames).tolist() == [18, 19, 20, 21]
    np.testing.assert_array_equal(found.clip.joints, np.delete(clip.joints, np.arange(20, 40), axis=0))
    assert found.clip.events == (15, 20, -1) and found.clip.video == ""


def test_a_pause_holds_the_pose_of_one_frame_for_a_second(clip):
    found = pause(clip, SKELETON, np.random.default_rng(0))
    (held,) = np.nonzero(found.frames)
    assert len(found.clip.joints) == 70 and len(held) == 10 and 25 <= held[0] <= 35
    np.testing.assert_allclose(found.clip.joints[held], clip.joints[[held[0]]].repeat(10, axis=0))
    np.testing.assert_array_equal(np.delete(found.clip.joints, held, axis=0), clip.joints)
    assert found.clip.events == (15, 20, 50)


def test_a_held_pose_is_measured_as_noisily_as_the_others(clip):
    noisy = Clip(**{**vars(clip), "joints": clip.joints + np.random.default_rng(1).normal(0, 0.5, clip.joints.shape)})
    found = pause(noisy, SKELETON, np.random.default_rng(0))
    assert found.clip.joints[found.frames].std(axis=0).mean() == pytest.approx(0.5, rel=0.1)


def test_a_wrong_limb_turns_about_its_first_joint_and_nothing_else_moves(clip):
    found = wrong_limb(clip, SKELETON, np.random.default_rng(0))
    moved = np.flatnonzero(found.joints)
    root = next(chain[0] for chain in SKELETON.chains.values() if set(chain[1:]) == set(moved))
    off = np.linalg.norm(found.clip.joints - clip.joints, axis=2)
    assert (off[np.ix_(found.frames, moved)] > 0).all()
    assert max(off[~found.frames].max(), np.delete(off, moved, axis=1).max()) < 1e-9
    length = np.linalg.norm(found.clip.joints - found.clip.joints[:, [root]], axis=2)
    np.testing.assert_allclose(length, np.linalg.norm(clip.joints - clip.joints[:, [root]], axis=2))
    assert 15 <= found.frames.sum() <= 27


@pytest.mark.parametrize("plant", [skipped_phase, pause, wrong_limb])
def test_the_same_seed_plants_the_same_error(clip, plant):
    one, other = (plant(clip, SKELETON, np.random.default_rng(3)).clip.joints for _ in range(2))
    np.testing.assert_array_equal(one, other)
