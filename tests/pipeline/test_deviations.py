"""Planted errors are marked where they were planted, as what they are; normal clips mostly are not marked at all."""

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.deviations import Motion, Normals, body_coordinates, stretches

K = 5
START = np.random.default_rng(0).uniform(-1, 1, (K, 2))
PATH = np.random.default_rng(1).uniform(-1, 1, (K, 2))


def performed(seed, where=None, wrong=None):
    """A movement from START along PATH in 60 frames or so, a little differently by every seed.

    where: (T,) how far along it each frame is. wrong: (frames, joint) that is off.
    """
    rng = np.random.default_rng(seed)
    where = np.linspace(0, 1, 55 + seed) if where is None else where
    pose = START + 3 * where[:, None, None] * PATH + 0.02 * rng.standard_normal((len(where), K, 2))
    if wrong:
        pose[wrong] += 1.5
    return Motion(pose.reshape(len(pose), -1), pose, 30.0)


@pytest.fixture(scope="module")
def normals():
    return Normals([performed(seed) for seed in range(10)])


def test_a_normal_clip_is_as_unusual_as_its_definition_says(normals):
    """1 is what 1 % of the normal frames reach, by the worst of three kinds, which are on one scale."""
    found = [normals.deviation(clip, n) for n, clip in enumerate(normals.clips)]
    assert (np.concatenate([one.score for one in found]) > 1).mean() == pytest.approx(0.01, abs=0.001)
    parts = ([one.pose for one in found], [one.tempo for one in found], [one.joints.max(axis=1) for one in found])
    reached = [np.percentile(np.concatenate(part), 99) for part in parts]
    np.testing.assert_allclose(reached, reached[0])
    assert reached[0] < 1


def test_a_clip_is_unusual_beyond_the_highest_of_the_other_normal_ones(normals):
    highest = [normals.deviation(clip, n).score.max() for n, clip in enumerate(normals.clips)]
    assert normals.limit() == pytest.approx(max(highest)) and normals.limit() > 1
    first = int(np.argmax(highest))
    assert normals.limit(first) == pytest.approx(sorted(highest)[-2])
    assert normals.deviation(performed(3, wrong=(slice(20, 35), 2))).score.max() > normals.limit()


def test_a_joint_that_is_off_is_named_where_it_is_off(normals):
    found = normals.deviation(performed(3, wrong=(slice(20, 35), 2)))
    assert (found.joints[20:35].argmax(axis=1) == 2).all() and (found.joints[20:35, 2] > 3).all()
    start, stop = stretches(found, 30.0)[0]
    assert abs(start - 20) <= 2 and abs(stop - 35) <= 2
    assert found.score[:15].max() < 2 and found.score[40:].max() < 2


def test_a_pause_is_slower_and_not_another_pose(normals):
    where = np.concatenate([np.linspace(0, 0.5, 30), np.full(30, 0.5), np.linspace(0.5, 1, 30)])
    found = normals.deviation(performed(3, where))
    assert (found.tempo[35:55] > 2).all() and found.slower[35:55].all()
    assert [found.kind[t] for t in range(35, 55)] == ["tempo"] * 20
    assert found.tempo[[10, 80]].max() < 1


def test_a_part_that_is_rushed_is_faster(normals):
    where = np.concatenate([np.linspace(0, 0.3, 20), np.linspace(0.31, 0.7, 8), np.linspace(0.71, 1, 20)])
    found = normals.deviation(performed(3, where))
    assert (found.tempo[22:26] > 1).all() and not found.slower[22:26].any()


def test_what_is_most_alike_is_found_with_its_frames(normals):
    found = normals.deviation(normals.clips[4])
    assert found.normal == 4 and found.frame.tolist() == list(range(len(normals.clips[4].features)))


def test_along_the_clock_a_pause_is_a_wrong_pose_later():
    """The control: frames of the same share of the clip are compared."""
    clock = Normals([performed(seed) for seed in range(10)], "clock")
    where = np.concatenate([np.linspace(0, 0.5, 30), np.full(30, 0.5), np.linspace(0.5, 1, 30)])
    assert clock.deviation(performed(3, where)).pose[20] > 1


def test_body_coordinates_forget_place_and_size():
    rng = np.random.default_rng(0)
    joints, confidence = rng.uniform(0, 100, (20, K, 2)), np.ones((20, K))
    expected = body_coordinates(joints, confidence)
    np.testing.assert_allclose(body_coordinates(3 * joints + 50, confidence), expected)
    assert np.median(np.linalg.norm(expected, axis=2)) == pytest.approx(1)


def test_a_missing_joint_is_interpolated_and_one_never_seen_is_in_the_middle():
    joints = np.zeros((3, K, 2))
    joints[:, :, 0] = np.arange(K)  # the median joint is at 2
    joints[2, 0, 0] = 4.0
    confidence = np.ones((3, K))
    confidence[1, 0] = 0
    found = body_coordinates(joints, confidence)
    assert found[1, 0, 0] > found[0, 0, 0]
    confidence[:, 4] = 0
    assert (body_coordinates(joints, confidence)[:, 4] == 0).all()


def test_a_clip_without_size_is_refused():
    joints, confidence = np.zeros((3, K, 2)), np.ones((3, K))
    joints[:, 0] = 7.0  # the others lie in one place
    with pytest.raises(InputError, match="lie apart"):
        body_coordinates(joints, confidence)
    with pytest.raises(InputError, match="none is ever seen"):
        body_coordinates(joints, 0 * confidence)


def test_stretches_join_what_is_close_and_come_worst_first(normals):
    found = normals.deviation(performed(3))
    score = np.zeros(len(found.pose))
    score[[5, 6, 8]], score[20] = 2.0, 3.0
    found = type(found)(score, 0 * score, found.joints * 0, found.slower, 0, found.frame)
    assert stretches(found, 30.0) == [(20, 21), (5, 9)]


def test_two_clips_are_too_few_to_tell_what_is_normal():
    with pytest.raises(InputError, match="at least 3 normal clips, but got 2"):
        Normals([performed(0), performed(1)])
