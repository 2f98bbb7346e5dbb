"""Derived key events on made-up motions whose events are known, and against those shipped with real data."""

import csv

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.penn_action import load_clip
from pipeline.figures import plt
from pipeline.key_events import BUILT_IN, Definition, derive, load_definition, preview
from pipeline.skeleton import Skeleton, load_skeleton

BODY = Skeleton(
    name="body",
    joints=("nose", "left_wrist", "right_wrist", "left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    limbs=((0, 3), (0, 4), (3, 1), (4, 2), (3, 5), (4, 6)),
)
NOSE, LEFT_WRIST, RIGHT_WRIST = 0, 1, 2
FPS = 10


def body(num_frames: int) -> np.ndarray:
    """(T, 7, 2) somebody who stands still, 50 px from shoulders to hips."""
    standing = [(0, 20), (-20, 100), (20, 100), (-10, 50), (10, 50), (-10, 100), (10, 100)]
    return np.tile(np.array(standing, dtype=float), (num_frames, 1, 1))


def nose_at(heights) -> np.ndarray:
    joints = body(len(heights))
    joints[:, NOSE, 1] = -np.asarray(heights, dtype=float)
    return joints


def rule(*events, **settings) -> Definition:
    return Definition.model_validate(
        {"quantity": {"kind": "height", "joints": ["nose"]}, "events": list(events)} | settings
    )


def events_of(joints, definition, confidence=None, skeleton=BODY):
    confidence = np.ones(joints.shape[:2]) if confidence is None else confidence
    return derive(joints, confidence, skeleton, FPS, definition)


TOP = {"name": "top", "at": "maximum"}
BEND = rule(
    {"name": "down", "at": "falls_below", "level_share": 0.5, "which": "last", "before": "low"},
    {"name": "low", "at": "minimum"},
    {"name": "up", "at": "rises_above", "level_share": 0.5, "after": "low"},
)


def test_events_by_hand():
    heights = [10, 10, 8, 4, 0, 3, 6, 10, 10]
    found = events_of(nose_at(heights), BEND)
    assert found.events == (3, 4, 6) and found.reasons == ()
    assert found.quantity.tolist() == heights


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=20),
    st.floats(0.5, 8.5),
    st.sampled_from(["first", "last", "only"]),
)
def test_crossings_are_those_of_a_loop(heights, level, which):
    level += 0.01  # between the heights
    for at, sign in (("rises_above", 1), ("falls_below", -1)):
        crossings = []
        for t in range(1, len(heights)):
            if sign * heights[t - 1] < sign * level < sign * heights[t]:
                crossings.append(t)
        found = events_of(nose_at(heights), rule({"name": "e", "at": at, "level": level, "which": which}))
        if not crossings:
            assert found.reasons == ("e is not reached",)
        elif which == "only" and len(crossings) > 1:
            assert found.reasons == ("e happens more than once",)
        else:
            assert found.events == (crossings[-1 if which == "last" else 0],)


@given(st.lists(st.integers(0, 99), min_size=4, max_size=20))
def test_an_extremum_counts_unless_the_clip_begins_or_ends_with_it(heights):
    for at, extreme in (("maximum", max), ("minimum", min)):
        frame = heights.index(extreme(heights))
        found = events_of(nose_at(heights), rule({"name": "e", "at": at}))
        if frame in (0, len(heights) - 1):
            assert found.events == () and found.reasons == ("e is at the clip's edge",)
        else:
            assert found.events == (frame,)


def test_an_event_between_two_others():
    between = rule(
        {"name": "start", "at": "rises_above", "level": 5},
        {"name": "dip", "at": "minimum", "after": "start", "before": "end"},
        {"name": "end", "at": "falls_below", "level": 5, "which": "last"},
    )
    assert events_of(nose_at([0, 8, 9, 7, 9, 8, 0]), between).events == (1, 3, 6)
    assert events_of(nose_at([0, 8, 8.5, 9, 7, 0]), between).reasons == ("dip is no turning point",)
    assert events_of(nose_at([0, 8, 0, 0]), between).reasons == ("dip is not seen",)


def test_a_crossing_right_after_the_other_event_is_found():
    definition = rule(TOP, {"name": "fallen", "at": "falls_below", "level": 5, "after": "top"})
    assert events_of(nose_at([0, 9, 1, 0]), definition).events == (1, 2)


def test_events_out_of_order_make_a_clip_unclean():
    definition = rule(TOP, {"name": "low", "at": "minimum"})
    assert events_of(nose_at([5, 9, 0, 5]), definition).events == (1, 2)
    found = events_of(nose_at([5, 0, 9, 5]), definition)
    assert found.events == () and found.reasons == ("low is not in order",)


def test_too_little_movement_is_measured_in_body_sizes():
    quantity = {"kind": "height", "joints": ["nose"], "size": ["shoulder", "hip"]}
    definition = rule(TOP, quantity=quantity, least_range=0.5)
    assert events_of(nose_at([0, 30, 0]), definition).quantity == pytest.approx([0, 0.6, 0])
    assert events_of(nose_at([0, 20, 0]), definition).reasons == ("moves too little",)


@given(st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500))
def test_size_and_place_of_the_person_do_not_matter(scale, right, down):
    definition = rule(
        {"name": "up", "at": "rises_above", "level": 0.25},
        quantity={"kind": "height", "joints": ["wrist"], "relative_to": "shoulder", "size": ["shoulder", "hip"]},
    )
    joints = body(8)
    joints[:, [LEFT_WRIST, RIGHT_WRIST], 1] = np.linspace(110, -10, 8)[:, None]
    assert events_of(joints * scale + (right, down), definition).events == events_of(joints, definition).events == (5,)


def test_three_dimensions_have_y_up():
    heights = np.array([0.0, 1, 4, 2, 0])
    joints = np.zeros((5, 7, 3))
    joints[:, NOSE, 1] = heights
    found = events_of(joints, rule(TOP))
    assert found.events == (2,) and found.quantity.tolist() == heights.tolist()


def test_distance_and_angle():
    joints = body(5)
    joints[:, LEFT_WRIST] = joints[:, RIGHT_WRIST] + np.array([[8, 6], [4, 3], [0, 1], [4, 3], [8, 6]])
    distance = {"kind": "distance", "joints": ["left_wrist", "right_wrist"]}
    found = events_of(joints, rule({"name": "clap", "at": "minimum"}, quantity=distance))
    assert found.events == (2,) and found.quantity == pytest.approx([10, 5, 1, 5, 10])
    joints = body(4)
    joints[:, 3:5], joints[:, 5:7] = (0, 0), (0, 10)  # trunk from shoulder to hip points down
    joints[:, 1:3] = np.array([(0, 5), (5, 0), (5, -5), (5, 5)])[:, None]
    angle = {"kind": "angle", "joints": ["wrist", "shoulder", "hip"]}
    assert events_of(joints, rule(TOP, quantity=angle)).quantity == pytest.approx([0, 90, 135, 45])


def test_both_sides_are_averaged_and_a_hidden_one_is_left_out_of_the_whole_clip():
    quantity = {"kind": "height", "joints": ["wrist"]}
    joints = body(6)
    left, right = np.array([0, 2, 4, 6, 4, 2]), np.array([10, 20, 90, 80, 20, 10])
    joints[:, LEFT_WRIST, 1], joints[:, RIGHT_WRIST, 1] = -left, -right
    definition = rule(TOP, quantity=quantity, max_gap_seconds=0)
    assert events_of(joints, definition).quantity == pytest.approx((left + right) / 2)
    confidence = np.ones((6, 7))
    confidence[4, RIGHT_WRIST] = 0
    found = events_of(joints, definition, confidence)
    assert found.quantity == pytest.approx(left) and found.events == (3,)


@pytest.mark.parametrize("missing", [0, np.nan])
def test_short_gaps_are_bridged_and_long_ones_stay_open(missing):
    heights = [0, 1, 99, 99, 4, 5, 99, 99, 99, 9, 3, 0]
    confidence = np.ones((12, 7))
    confidence[[2, 3, 6, 7, 8], NOSE] = missing
    found = events_of(nose_at(heights), rule(TOP, max_gap_seconds=0.2), confidence)
    nan = np.nan
    np.testing.assert_allclose(found.quantity, [0, 1, 2, 3, 4, 5, nan, nan, nan, 9, 3, 0])
    assert found.reasons == ("top is beside missing joints",)
    assert events_of(nose_at(heights), rule(TOP, max_gap_seconds=0.3), confidence).events == (9,)
    crossing = rule({"name": "e", "at": "rises_above", "level": 7}, max_gap_seconds=0.2)
    assert events_of(nose_at(heights), crossing, confidence).reasons == ("e is beside missing joints",)


def test_a_joint_that_is_never_seen():
    confidence = np.ones((6, 7))
    confidence[:, NOSE] = 0
    found = events_of(nose_at(range(6)), rule(TOP), confidence)
    assert found.events == () and found.reasons == ("joints are missing",) and np.isnan(found.quantity).all()


def fitted(heights, t):
    """The parabola through the nine frames around t, at t."""
    around = range(t - 4, t + 5)
    return np.polyval(np.polyfit(around, [heights[i] for i in around], 2), t)


def blurred(heights, t):
    """The mean of the frames around t, by a bell curve of two frames."""
    weights = [np.exp(-((t - i) ** 2) / 8) for i in range(t - 8, t + 9)]
    return np.average(heights[t - 8 : t + 9], weights=weights)


@pytest.mark.parametrize(
    ("smoothing", "reference"),
    [
        ({"width_frames": 9}, fitted),
        ({"width_seconds": 0.9}, fitted),
        ({"method": "gaussian", "width_frames": 2}, blurred),
        ({"method": "gaussian", "width_seconds": 0.2}, blurred),
    ],
)
def test_smoothing_keeps_a_glitch_from_being_the_event(smoothing, reference):
    heights = 100 * np.exp(-((np.arange(40) - 25.0) ** 2) / 60) + np.random.default_rng(0).normal(0, 1, 40)
    heights[10] += 105
    assert events_of(nose_at(heights), rule(TOP)).events == (10,)
    found = events_of(nose_at(heights), rule(TOP, smoothing=smoothing))
    assert abs(found.events[0] - 25) <= 1
    middle = range(8, 32)
    assert found.quantity[middle] == pytest.approx([reference(heights, t) for t in middle])


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(1, 15), st.integers(0, 3))
def test_savitzky_golay_keeps_a_line_however_short(num_frames, width, order):
    """Also where the clip is shorter than the window. Order 0, a moving average, keeps its middle only."""
    heights = np.arange(num_frames) * 2.0
    definition = rule(TOP, smoothing={"width_frames": width, "order": order})
    quantity = events_of(nose_at(heights), definition).quantity
    kept = slice(None) if order else slice(num_frames // 2, num_frames // 2 + num_frames % 2)
    assert quantity[kept] == pytest.approx(heights[kept])


def test_every_definition_that_is_shipped_fits_a_skeleton_that_is_shipped():
    names = sorted(path.stem for path in BUILT_IN.glob("*.yaml"))
    assert {"pushup", "squat", "pullup", "jumping_jacks", "situp", "bench_press", "raise_hands"} <= set(names)
    for name in names:
        skeletons = (
            ["hand_21", "sfinge_20"]
            if name == "pinch"
            else ["penn_13", "coco_17", "body_25", "mediapipe_33", "kinect_20"]
        )
        if name.startswith("raise"):
            skeletons.append("bandai_21")
        for skeleton in map(load_skeleton, skeletons):
            found = events_of(np.zeros((9, skeleton.num_joints, 2)), load_definition(name), skeleton=skeleton)
            assert found.events == () and np.isfinite(found.quantity).all()  # nobody moves, nothing happens


def test_a_skeleton_without_the_joint():
    with pytest.raises(InputError, match=r"joint of skeleton 'sfinge_20', but the definition names 'shoulder'"):
        events_of(np.zeros((9, 20, 3)), load_definition("pushup"), skeleton=load_skeleton("sfinge_20"))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"quantity": {"kind": "angle", "joints": ["hip", "knee"]}}, "takes 3 joints"),
        ({"quantity": {"kind": "speed", "joints": ["hip"]}}, "quantity.kind"),
        ({"smoothing": {"method": "gaussian"}}, "one of width_frames and width_seconds"),
        ({"events": []}, "events"),
        ({"events": [{"name": "a", "at": "rises_above"}]}, "one of level and level_share"),
        ({"events": [{"name": "a", "at": "maximum", "level": 3}]}, "one of level and level_share"),
        ({"events": [TOP, TOP]}, "distinct names"),
        ({"events": [{**TOP, "after": "start"}]}, "'start'"),
        ({"events": [{**TOP, "after": "b"}, {**TOP, "name": "b", "after": "top"}]}, "circle"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_definition_is_one_line_that_names_the_file(tmp_path, change, part):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"quantity": {"kind": "height", "joints": ["nose"]}, "events": [TOP]} | change))
    with pytest.raises(InputError) as caught:
        load_definition(str(path))
    assert part in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_definition_names_those_that_exist():
    with pytest.raises(InputError, match=r"'pushup'.*got 'press-up'"):
        load_definition("press-up")


@pytest.mark.parametrize("heights", [[10, 10, 8, 4, 0, 3, 6, 10, 10], range(9)])
def test_the_preview_marks_the_events_that_were_found(heights):
    joints = nose_at(heights)
    clip = Clip("clip 1", "squat", "train", joints, np.ones(joints.shape[:2]), FPS)
    found = events_of(joints, BEND)
    fig, axes = preview(clip, BODY, BEND, found)
    marked = [line.get_xdata()[0] * FPS for line in axes["quantity"].lines[:-1]]
    poses = [ax.get_title() for name, ax in axes.items() if name != "quantity"]
    curve = axes["quantity"].lines[-1]
    np.testing.assert_array_equal(curve.get_ydata(), found.quantity)
    if found.events:
        assert marked == pytest.approx(found.events)
        assert poses == ["down\nframe 3", "low\nframe 4", "up\nframe 6"]
    else:
        assert found.reasons[0] in fig.get_suptitle()
    plt.close(fig)


def agreement(pairs):
    """(E,) share of clips whose derived event is within 2 frames of the shipped one."""
    return np.mean([np.abs(np.subtract(*pair)) <= 2 for pair in pairs], axis=0)


@pytest.mark.shared
@pytest.mark.parametrize("action", ["jumping_jacks", "squat", "pushup", "pullup", "bench_press", "situp"])
def test_penn_action_agrees_with_the_events_shipped(shared, action):
    """Those were computed from joints smoothed in another way, hidden ones included: 90 to 100 % are within two frames."""
    skeleton, definition, pairs, rows = load_skeleton("penn_13"), load_definition(action), [], []
    with (shared / "penn_action/derived_events.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["action"] == action]
    for row in rows:
        clip = load_clip(shared / f"penn_action/labels/{row['video_id'].zfill(4)}.mat", 20)
        found = derive(clip.joints, clip.confidence, skeleton, clip.fps, definition)
        if found.events:
            pairs.append((found.events, [int(row[f"event{n}"]) for n in (1, 2, 3) if row[f"event{n}"]]))
    assert len(pairs) > 0.93 * len(rows)
    assert (agreement(pairs) > 0.89).all()


@pytest.mark.shared
@pytest.mark.parametrize("hand", ["both-hands", "left-hand", "right-hand"])
def test_raised_hands_agree_with_the_events_shipped(shared, hand):
    """Their rule is ours but for the level, which counts from the lower of the two ends of the clip."""
    definition = load_definition("raise_" + hand.replace("both-", "").replace("-", "_"))
    with (shared / "bandai_raise/derived_events.csv").open() as file:
        rows = {row["sequence"]: [int(row[name]) for name in list(row)[4:7]] for row in csv.DictReader(file)}
    arrays = np.load(shared / f"bandai_raise/raise-up-{hand}.npz")
    positions, offsets = arrays["positions"], arrays["offsets"]
    skeleton, pairs = load_skeleton("bandai_21"), []
    for name, start, stop in zip(arrays["names"].tolist(), offsets, offsets[1:], strict=False):
        joints = positions[start:stop]
        found = derive(joints, np.ones(joints.shape[:2]), skeleton, 30, definition)
        pairs.append((found.events, rows[name]))
    assert (agreement(pairs) == 1).all()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("tracks", "skeleton", "least"), [("mediapipe33_xyzv", "mediapipe_33", 1), ("movenet17_xys", "coco_17", 0.75)]
)
def test_the_lowest_point_of_a_push_up(shared, tracks, skeleton, least):
    """The shipped frames were computed from the MediaPipe tracks; MoveNet's are noisier."""
    with (shared / "pushup_videos/derived_events.csv").open() as file:
        lowest = {row["clip"]: int(row["lowest_frame"]) for row in csv.DictReader(file)}
    topology, definition, pairs = load_skeleton(skeleton), load_definition("pushup"), []
    for name, track in np.load(shared / f"pushup_videos/{tracks}.npz").items():
        found = derive(track[..., :2], track[..., -1], topology, 25, definition)
        pairs.append((found.events, [lowest[name]]))
    assert len(pairs) == 50 and (agreement(pairs) >= least).all()
