import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.corruption import Corruption, corrupt
from pipeline.sequence import from_clips
from pipeline.skeleton import load_skeleton


def sequences(name, frames=4000):
    skeleton, rng = load_skeleton(name), np.random.default_rng(0)
    joints = rng.uniform(10, 200, (frames, len(skeleton.joints), 2))
    clips = [
        Clip(str(n), "any", split, part, np.ones(part.shape[:2]), fps=20.0)
        for n, (split, part) in enumerate(zip(("train", "train", "val", "val"), np.split(joints, 4), strict=True))
    ]
    told = {"dataset": "noise", "event_names": {}, "poses": "annotated", "labels": "none"}
    return from_clips(clips, skeleton=skeleton, **told)


@pytest.mark.parametrize("name, limbs", [("penn_13", 4), ("bandai_21", 4), ("hand_21", 5), ("sfinge_20", 5)])
def test_every_whole_limb_is_missing_as_often_and_never_its_first_joint(name, limbs):
    """Slowly counted: which joints a frame lacks. A forearm alone is never one of them, as it is a part of an arm."""
    before = sequences(name)
    after = corrupt(before, Corruption(missing=0.5))
    lacking = {}
    for frame in after.confidence == 0:
        lacking.setdefault(tuple(np.flatnonzero(frame)), []).append(1)
    whole = len(lacking.pop(()))
    assert len(lacking) == limbs and abs(whole - 2000) < 150
    chains = {tuple(sorted(chain[1:])) for chain in before.skeleton.chains.values()}
    for joints, frames in lacking.items():
        assert joints in chains and abs(len(frames) - 2000 / limbs) < 120
    assert (after.joints[after.confidence == 0] == 0).all()
    np.testing.assert_array_equal(after.joints[after.confidence > 0], before.joints[after.confidence > 0])


def test_noise_is_a_share_of_the_body_and_nothing_changes_nothing():
    before = sequences("penn_13")
    size = np.median(np.linalg.norm(before.joints.max(axis=1) - before.joints.min(axis=1), axis=1))
    moved = corrupt(before, Corruption(noise=0.03)).joints - before.joints
    assert moved.std() == pytest.approx(0.03 * size, rel=0.02) and abs(moved.mean()) < 0.05
    np.testing.assert_array_equal(corrupt(before, Corruption()).joints, before.joints)
    assert str(Corruption(missing=0.25, noise=0.1)).count("0.") == 2 and str(Corruption()) == "as they are"
