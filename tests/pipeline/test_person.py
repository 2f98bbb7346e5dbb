from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.config import InputError
from pipeline.detections import gather
from pipeline.estimators.base import People
from pipeline.person import PersonConfig, Track, follow

FPS = 25.0
FRAME = (640, 360)
# Head, hands, hip, knees, feet of somebody 100 px tall whose hip is the origin.
BODY = np.array([[0, -50], [-20, 0], [20, 0], [0, 0], [-8, 25], [8, 25], [-10, 50], [10, 50]], np.float32)
SWING = np.array([0, -10, 10, 0, 5, -5, 8, -8], np.float32)
K = len(BODY)


def standing(x, y, num_frames, scale=1.0):
    """(T, K, 2) somebody who does not move."""
    return np.tile(BODY * scale + np.array([x, y]), (num_frames, 1, 1)).astype(np.float32)


def walking(x, y, speed, num_frames, phase=0.0):
    """(T, K, 2) somebody who walks to the right at `speed` px per frame, limbs swinging once a second."""
    time = np.arange(num_frames)
    joints = standing(x, y, num_frames)
    joints[..., 0] += speed * time[:, None] + np.sin(2 * np.pi * time / FPS + phase)[:, None] * SWING
    return joints


def detect(people, present=None, confidence=1.0, seed=None):
    """Detections of people that are each (T, K, 2), where present (P, T) says so; shuffled in every frame by seed."""
    num_frames = len(people[0])
    present = np.ones((len(people), num_frames), bool) if present is None else np.asarray(present)
    rng = np.random.default_rng(seed)
    frames = []
    for t in range(num_frames):
        who = np.flatnonzero(present[:, t])
        who = who if seed is None else rng.permutation(who)
        frames.append(People(np.array([people[p][t] for p in who]), np.full((len(who), K), confidence)))
    return gather(frames, K)


def one_person(joints, confidence):
    """Detections of one person with (T, K) confidence; frames without any joint have nobody."""
    some = [
        People(j[None], c[None]) if c.any() else People(j[:0], c[:0]) for j, c in zip(joints, confidence, strict=True)
    ]
    return gather(some, joints.shape[1])


def assert_same(a: Track, b: Track):
    for item in fields(Track):
        np.testing.assert_array_equal(getattr(a, item.name), getattr(b, item.name), item.name)


coordinates = st.integers(0, 40).map(lambda n: 10.0 * n)  # coarse, so that ties and equal people happen
people_of_a_frame = st.lists(st.tuples(coordinates, coordinates, st.sampled_from([0.5, 1.0, 2.0])), max_size=4)


@given(
    st.lists(people_of_a_frame, max_size=12),
    st.sampled_from(["largest", "most_central", "most_moving", 0]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_order_of_people_in_a_frame_means_nothing_and_every_frame_has_a_row(frames, choose, random):
    def track(frames):
        bodies = [np.array([BODY * scale + (x, y) for x, y, scale in frame]).reshape(-1, K, 2) for frame in frames]
        found = gather([People(joints, np.ones(joints.shape[:2])) for joints in bodies], K)
        return follow(found, FPS, FRAME, PersonConfig(choose=choose))

    result = track(frames)
    assert result.joints.shape == (len(frames), K, 2) and result.confidence.shape == (len(frames), K)
    assert result.joints.dtype == result.confidence.dtype == np.float32
    np.testing.assert_array_equal(result.num_people, [len(frame) for frame in frames])
    assert_same(result, track([random.sample(frame, len(frame)) for frame in frames]))


@given(
    arrays(np.float32, (9, K, 2), elements=st.floats(-2, 2, width=32)),
    arrays(np.float32, (9, K), elements=st.floats(0.125, 1, width=32)),
    st.integers(1, 9),
)
@settings(deadline=None)
def test_one_clean_person_comes_back_unchanged(wobble, confidence, num_frames):
    joints = (standing(100, 100, 9) + wobble)[:num_frames]
    result = follow(one_person(joints, confidence[:num_frames]), FPS, FRAME, PersonConfig())
    assert result.joints.tobytes() == joints.tobytes()
    assert result.confidence.tobytes() == confidence[:num_frames].tobytes()
    assert (result.track, result.num_tracks, result.num_bridged_joints, result.num_frames_without) == (0, 1, 0, 0)


def bridged_slowly(joints, confidence, max_gap):
    joints, confidence, num = joints.astype(np.float64), confidence.copy(), 0
    for k in range(joints.shape[1]):
        known = np.flatnonzero(confidence[:, k])
        for a, b in pairwise(known):
            if 1 <= b - a - 1 <= max_gap:
                for t in range(a + 1, b):
                    joints[t, k] = joints[a, k] + (joints[b, k] - joints[a, k]) * (t - a) / (b - a)
                    confidence[t, k] = min(confidence[a, k], confidence[b, k])
                    num += 1
    return joints, confidence, num


@given(
    arrays(np.bool_, (14, K)),
    arrays(np.bool_, 14),
    arrays(np.float32, (14, K), elements=st.sampled_from(np.float32([0.25, 0.5, 1]))),
    st.integers(0, 6),
)
@settings(deadline=None)
def test_short_gaps_are_bridged_by_a_line_and_longer_ones_left(seen, present, confidence, max_gap):
    seen[:, [0, 1, 2, 7]] = True  # the corners of the box, so that the person stays recognisable
    confidence = confidence * seen * present[:, None]
    joints = walking(50, 100, 2, 14) * (confidence > 0)[..., None]
    config = PersonConfig(max_gap_s=max_gap / FPS, max_lost_s=10)
    result = follow(one_person(joints, confidence), FPS, FRAME, config)
    expected, expected_confidence, num = bridged_slowly(joints, confidence, max_gap)
    np.testing.assert_allclose(result.joints, expected, atol=1e-4)
    np.testing.assert_array_equal(result.confidence, expected_confidence)
    assert result.num_bridged_joints == num
    assert result.num_frames_without == (~present).sum()


@pytest.mark.parametrize("fps", [10, 25, 60])
@pytest.mark.parametrize("hidden_s", [0, 0.4])
def test_crossing_walkers_keep_their_identity(fps, hidden_s):
    num_frames = int(4 * fps)
    right = walking(100, 150, 100 / fps, num_frames)  # px per frame: both walk 100 px per second
    left = walking(505, 155, -100 / fps, num_frames, phase=2)
    meeting = np.abs(right[:, 3, 0] - left[:, 3, 0]).argmin() / fps
    present = np.ones((2, num_frames), bool)
    present[1, np.abs(np.arange(num_frames) / fps - meeting) < hidden_s / 2] = False  # behind the other
    found = detect([right, left], present, seed=0)
    for number, truth in enumerate([right, left]):
        result = follow(found, fps, FRAME, PersonConfig(choose=number, max_gap_s=0))
        assert result.num_tracks == 2
        np.testing.assert_array_equal(result.joints, truth * present[number][:, None, None])
        assert result.num_frames_without == (~present[number]).sum()


def test_ten_people_are_numbered_left_to_right():
    people = [walking(60 * n, 100 + 10 * (n % 3), 0.5, 20, phase=n) for n in range(10)]
    found = detect(people, seed=1)
    for number, person in enumerate(people):
        result = follow(found, FPS, (700, 300), PersonConfig(choose=number))
        np.testing.assert_array_equal(result.joints, person)
        assert result.num_tracks == 10 and (result.num_people == 10).all()


@pytest.mark.parametrize("after", ["elsewhere", "same place, other pose"])
def test_a_cut_begins_new_tracks_and_is_not_bridged(after):
    shot = standing(400, 200, 10) if after == "elsewhere" else standing(100, 100, 10)[..., ::-1]
    joints = np.concatenate([standing(100, 100, 15), shot])
    result = follow(detect([joints]), FPS, FRAME, PersonConfig())
    assert result.num_tracks == 2 and result.track == 0
    np.testing.assert_array_equal(result.joints[:15], joints[:15])
    assert not result.confidence[15:].any() and not result.joints[15:].any()
    assert result.num_frames_without == 10 and result.num_bridged_joints == 0
    np.testing.assert_array_equal(follow(detect([joints]), FPS, FRAME, PersonConfig(choose=1)).joints[15:], shot)


def test_a_track_ends_when_it_is_lost_for_longer_than_allowed():
    present = np.ones((1, 60), bool)
    present[0, 20:40] = False
    found = detect([standing(100, 100, 60)], present)
    assert follow(found, FPS, FRAME, PersonConfig(max_lost_s=20 / FPS)).num_tracks == 1
    assert follow(found, FPS, FRAME, PersonConfig(max_lost_s=19 / FPS)).num_tracks == 2


def test_a_fragment_of_a_person_is_another_track_unless_boxes_need_not_overlap():
    confidence = np.ones((10, K))
    confidence[5:, :4] = 0  # the legs only
    found = one_person(standing(100, 100, 10), confidence)
    assert follow(found, FPS, FRAME, PersonConfig()).num_tracks == 2
    assert follow(found, FPS, FRAME, PersonConfig(min_overlap=0)).num_tracks == 1


def test_a_newcomer_pushes_nobody_out_of_a_track():
    # The one on the left is lost just as another comes up on the right: everybody moved one place is a match, too.
    row = [standing(100 + 14 * n, 100, 20) for n in range(3)]
    present = np.ones((3, 20), bool)
    present[0, 10:] = present[2, :10] = False
    result = follow(detect(row, present), FPS, FRAME, PersonConfig(choose=1))
    assert result.num_frames_without == 0
    np.testing.assert_array_equal(result.joints, row[1])


def test_nobody_and_no_frames():
    for num_frames in (0, 5):
        for choose in ("largest", "most_moving", 3):
            empty = gather([People(np.zeros((0, K, 2)), np.zeros((0, K)))] * num_frames, K)
            result = follow(empty, FPS, FRAME, PersonConfig(choose=choose, smooth_s=0.1))
            assert result.joints.shape == (num_frames, K, 2) and not result.confidence.any()
            assert (result.track, result.num_tracks, result.num_frames_without) == (-1, 0, num_frames)


def test_guesses_and_fragments_are_nobody():
    joints = np.concatenate([standing(100, 100, 1), standing(300, 100, 1), standing(500, 100, 1)])
    confidence = np.ones((3, K))
    confidence[0, 3] = 0.05
    joints[0, 4] = np.nan
    confidence[0, 5] = np.nan
    confidence[1, 2:] = 0.05
    confidence[2, 2:] = 0
    result = follow(gather([People(joints, confidence)], K), FPS, FRAME, PersonConfig())
    assert result.num_people == 1
    np.testing.assert_array_equal(np.flatnonzero(result.confidence[0] == 0), [3, 4, 5])
    assert not result.joints[0, 3:6].any()
    everyone = PersonConfig(min_confidence=0, min_joints=2)
    assert follow(gather([People(joints, confidence)], K), FPS, FRAME, everyone).num_people == 3


def scene(num_frames=50):
    """Detections of four people: a large one, one near the middle who only jitters, one who walks, and, briefly, a
    giant right in the middle."""
    jitter = np.random.default_rng(0).normal(0, 1.5, (num_frames, K, 2)).astype(np.float32)
    people = {
        "largest": standing(100, 180, num_frames, scale=2),
        "most_central": standing(330, 180, num_frames, scale=0.5) + jitter,
        "most_moving": walking(400, 90, 4, num_frames),
        "giant": standing(320, 180, num_frames, scale=3),
    }
    present = np.ones((4, num_frames), bool)
    present[3, 5:] = False
    return people, detect(list(people.values()), present, seed=2)


@pytest.mark.parametrize("choose", ["largest", "most_central", "most_moving"])
def test_each_criterion_picks_who_it_says(choose):
    people, found = scene()
    np.testing.assert_array_equal(follow(found, FPS, FRAME, PersonConfig(choose=choose)).joints, people[choose])


def test_a_choice_that_cannot_be_made_says_so():
    _, found = scene()
    with pytest.raises(InputError, match="Expected one of 4 tracks, numbered from 0, but got choose: 4"):
        follow(found, FPS, FRAME, PersonConfig(choose=4))
    with pytest.raises(InputError, match="Expected a frame size"):
        follow(found, FPS, (0, 0), PersonConfig(choose="most_central"))
    in_space = gather([People(np.ones((1, K, 3)), np.ones((1, K))), People(np.ones((0, K, 3)), np.ones((0, K)))], K)
    with pytest.raises(InputError, match="Expected 2D poses for choose: most_central, but got 3D"):
        follow(in_space, FPS, FRAME, PersonConfig(choose="most_central"))


def test_close_people_are_reported_as_ambiguous():
    for apart, expected in ((1, 19), (200, 0)):
        pair = [standing(100, 100, 20), standing(100 + apart, 100, 20)]
        assert follow(detect(pair), FPS, FRAME, PersonConfig()).num_ambiguous_frames == expected


@pytest.fixture
def shaky():
    """A walker whose joints jitter, weighted at random, with joints missing for a while and one seen only once."""
    rng = np.random.default_rng(3)
    joints = walking(50, 100, 3, 40) + rng.normal(0, 1, (40, K, 2)).astype(np.float32)
    confidence = rng.uniform(0.2, 1, (40, K)).astype(np.float32)
    confidence[10:30, 4] = confidence[5:8, 5] = 0
    confidence[:12, 3] = confidence[13:, 3] = 0
    joints[confidence == 0] = 0
    return joints, confidence


def test_smoothing_fits_a_weighted_line_around_every_frame(shaky):
    joints, confidence = shaky
    sigma_s, reach = 0.08, 8  # 2 frames, and 4 of those
    result = follow(one_person(joints, confidence), FPS, FRAME, PersonConfig(smooth_s=sigma_s, max_gap_s=0))
    np.testing.assert_array_equal(result.confidence, confidence)
    for t, k in np.ndindex(40, K):
        if confidence[t, k] == 0:
            assert not result.joints[t, k].any()
            continue
        near = [s for s in range(max(0, t - reach), min(40, t + reach + 1)) if confidence[s, k] > 0]
        lag = np.array(near) - t
        weight = confidence[near, k] * np.exp(-0.5 * (lag / FPS / sigma_s) ** 2)
        degree = min(1, len(near) - 1)
        expected = [np.polyfit(lag, joints[near, k, axis], degree, w=np.sqrt(weight))[-1] for axis in (0, 1)]
        np.testing.assert_allclose(result.joints[t, k], expected, atol=1e-3)


def test_smoothing_leaves_steady_motion_alone_and_quietens_jitter(shaky):
    joints, confidence = shaky
    steady = (standing(50, 100, 40) + np.arange(40)[:, None, None] * [3, 1]).astype(np.float32)
    for smooth_s in (0.05, 0.3):
        config = PersonConfig(smooth_s=smooth_s, max_gap_s=0)
        kept = follow(one_person(steady, confidence), FPS, FRAME, config)
        np.testing.assert_allclose(kept.joints, steady * (confidence > 0)[..., None], atol=1e-3)
    truth, seen = walking(50, 100, 3, 40), confidence > 0
    smooth = follow(one_person(joints, confidence), FPS, FRAME, PersonConfig(smooth_s=0.08, max_gap_s=0))
    assert np.abs(smooth.joints - truth)[seen].mean() < 0.75 * np.abs(joints - truth)[seen].mean()
