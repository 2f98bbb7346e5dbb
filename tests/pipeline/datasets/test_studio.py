"""The synthetic data set: real enough to look at, exact in its labels, and not to be solved by a clock."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from pipeline.clip import phases_from_events
from pipeline.config import InputError
from pipeline.datasets.kinematics import ANGLES, Body, forward_kinematics, mirrored
from pipeline.datasets.studio import StudioConfig, load_action, read
from pipeline.sequence import PoseSequences

ROOT = Path(__file__).resolve().parents[3] / "data" / "raw" / "studio"
ACTIONS = ("golf_swing", "jumping_jack", "squat")
STILL = dict(noise_m=0, missing=0, sway_deg=0)
BONES = [
    (f"{side}_{upper}", f"{side}_{lower}")
    for side in ("left", "right")
    for upper, lower in [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("eye", "ear")]
] + [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_eye", "right_eye"), ("nose", "left_ear")]


def generate(root: Path = ROOT, **changes) -> PoseSequences:
    return read(StudioConfig(root=root, **changes), "studio")


@pytest.fixture(scope="module")
def full() -> PoseSequences:
    """What a user gets by default."""
    return generate()


@pytest.fixture(scope="module")
def exact() -> PoseSequences:
    """The same people, measured without error."""
    return generate(noise_m=0, missing=0)


def joint(sequences: PoseSequences, n: int, name: str) -> np.ndarray:
    """(T, 3) of one joint in sequence n; "hips", "shoulders" and so on are the middle of a pair."""
    joints = sequences.joints[sequences.frames(n)].astype(np.float64)
    index = sequences.skeleton.joints.index
    if name.endswith("s"):
        return (joints[:, index(f"left_{name[:-1]}")] + joints[:, index(f"right_{name[:-1]}")]) / 2
    return joints[:, index(name)]


def bone_lengths(sequences: PoseSequences, n: int) -> np.ndarray:
    """(T, number of bones): every rigid distance, the spine from hips to shoulders last."""
    pairs = [*BONES, ("hips", "shoulders")]
    return np.stack([np.linalg.norm(joint(sequences, n, a) - joint(sequences, n, b), axis=1) for a, b in pairs], axis=1)


# --- a clock must fail where a pose succeeds ---------------------------------------------------------------------


def clock(sequences: PoseSequences, n: int) -> np.ndarray:
    return np.arange(sequences.lengths[n])[:, None] / sequences.lengths[n]


def pose_window(sequences: PoseSequences, n: int, reach: int = 5) -> np.ndarray:
    """(T, ...) of the frames t - reach..t + reach, seen from the front and scaled to the box of the sequence."""
    frames = sequences.frames(n)
    joints, seen = sequences.joints[frames, :, :2], sequences.confidence[frames] > 0
    low, high = joints[seen].min(axis=0), joints[seen].max(axis=0)
    scaled = np.where(seen[..., None], (joints - low) / (high - low), 0).reshape(len(joints), -1)
    padded = np.pad(scaled, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate([padded[shift : shift + len(scaled)] for shift in range(2 * reach + 1)], axis=1)


def phase_accuracy(sequences: PoseSequences, action: str, features) -> float:
    """An SVC fitted on every second frame of the training videos, scored on the validation videos."""

    def collect(split: str, stride: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = sequences.where(action, split)
        x = np.concatenate([features(sequences, n)[::stride] for n in chosen])
        return x, np.concatenate([sequences.phase[sequences.frames(n)][::stride] for n in chosen])

    return SVC(C=1.0).fit(*collect("train", 2)).score(*collect("val", 1))


@pytest.mark.parametrize("action", ACTIONS)
def test_clock_does_poorly_and_pose_does_not(full, action):
    by_time = phase_accuracy(full, action, clock)
    by_pose = phase_accuracy(full, action, pose_window)
    assert by_time < 0.7
    assert by_pose > by_time + 0.1
    phases = np.concatenate([full.phase[full.frames(n)] for n in full.where(action)])
    assert np.bincount(phases).max() / len(phases) < 0.45


@pytest.mark.parametrize("action", ACTIONS)
def test_direction_of_motion_is_part_of_the_phase(full, action):
    single = phase_accuracy(full, action, lambda sequences, n: pose_window(sequences, n, reach=0))
    assert phase_accuracy(full, action, pose_window) > single + 0.05


# --- what the store says -----------------------------------------------------------------------------------------


def test_it_says_that_it_is_synthetic(full):
    assert (full.poses, full.labels, full.skeleton.name) == ("synthetic", "exact", "coco_17")
    assert tuple(full.event_names) == ACTIONS
    assert full.event_names["squat"] == ("descent_starts", "bottom_reached", "ascent_starts", "upright")
    assert full.joints.shape[1:] == (17, 3) and not full.left_out
    for action in ACTIONS:
        assert (len(full.where(action, "train")), len(full.where(action, "val"))) == (40, 20)
        assert "SYNTHETIC" in (ROOT / f"{action}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert full.names[full.where("squat", "train")[3]] == "squat_train_003"


def test_events_are_ordered_and_phases_follow_them(full):
    for n, action in enumerate(full.actions):
        events = full.events[n, : len(full.event_names[action])]
        assert len(events) >= 3 and np.all(np.diff([0, *events, full.lengths[n]]) > 0)
        np.testing.assert_array_equal(full.phase[full.frames(n)], phases_from_events(events, full.lengths[n]))


def test_lengths_and_tempo_vary(full):
    for action in ACTIONS:
        chosen = full.where(action)
        lengths = full.lengths[chosen]
        assert lengths.min() >= 20 and lengths.max() <= 200 and 60 < np.median(lengths) < 100
        bounds = np.column_stack(
            [np.zeros(len(chosen)), full.events[chosen][:, : len(full.event_names[action])], lengths]
        )
        seconds = np.diff(bounds) / 30
        assert np.all(seconds.std(axis=0) / seconds.mean(axis=0) > 0.25)


def test_same_seed_same_arrays_other_seed_others():
    first, again, other = (generate(train_videos=2, val_videos=2, seed=seed) for seed in (5, 5, 6))
    for name in ("joints", "confidence", "phase", "events", "offsets"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.num_frames != other.num_frames


def test_a_clip_does_not_depend_on_the_others(full):
    alone = generate(actions=["squat"], train_videos=3, val_videos=2)
    for n, name in enumerate(alone.names):
        m = full.names.index(name)
        np.testing.assert_array_equal(alone.joints[alone.frames(n)], full.joints[full.frames(m)])


# --- people ------------------------------------------------------------------------------------------------------


def test_bones_keep_their_length(exact):
    for n in range(len(exact)):
        lengths = bone_lengths(exact, n)
        np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=1e-4)


def test_noise_is_added_to_the_joints_and_nothing_else(exact):
    noisy = generate(noise_m=0.03, missing=0)
    difference = noisy.joints - exact.joints
    np.testing.assert_array_equal(noisy.events, exact.events)
    np.testing.assert_allclose(difference.std(axis=(0, 1)), 0.03, rtol=0.02)
    assert abs(np.corrcoef(difference[:-1, 9, 0], difference[1:, 9, 0])[0, 1]) < 0.05
    assert np.all(bone_lengths(noisy, 0).std(axis=0) > 0.01)


def test_missing_joints_follow_their_setting(exact):
    gaps = generate(noise_m=0, missing=0.1)
    missing = gaps.confidence == 0
    assert np.all(exact.confidence == 1)
    np.testing.assert_allclose(missing.mean(axis=0), 0.1, atol=0.015)
    assert np.all(gaps.joints[missing] == 0)
    np.testing.assert_array_equal(gaps.joints[~missing], exact.joints[~missing])


def test_performers_differ_and_do_not_cross_splits(exact):
    assert not {g for g, s in zip(exact.groups, exact.splits, strict=True) if s == "train"} & {
        g for g, s in zip(exact.groups, exact.splits, strict=True) if s == "val"
    }
    people: dict[str, list[np.ndarray]] = {}
    for n, group in enumerate(exact.groups):
        people.setdefault(group, []).append(bone_lengths(exact, n)[0])
    for bodies in people.values():
        np.testing.assert_allclose(bodies, np.broadcast_to(bodies[0], np.shape(bodies)), rtol=1e-4)
    lengths = np.array([bodies[0] for bodies in people.values()])
    shape = lengths[:, 0] / lengths[:, -1]  # upper arm over spine: proportions, whatever the height
    assert len(people) == 60 and len(np.unique(lengths[:, 0].round(5))) == 60
    assert np.all(lengths.std(axis=0) / lengths.mean(axis=0) > 0.05) and shape.std() / shape.mean() > 0.05


def test_axes_are_those_of_the_camera_and_every_clip_has_its_view(exact):
    azimuths = []
    for n in exact.where("squat"):
        assert joint(exact, n, "nose")[0, 1] > joint(exact, n, "hips")[0, 1] > joint(exact, n, "ankles")[0, 1]
        across = joint(exact, n, "left_hip")[0] - joint(exact, n, "right_hip")[0]
        assert across[0] > 0 and joint(exact, n, "nose")[0, 2] > joint(exact, n, "ears")[0, 2]
        azimuths.append(np.degrees(np.arctan2(-across[2], across[0])))
    assert -65 < min(azimuths) < -45 and 45 < max(azimuths) < 65 and np.std(azimuths) > 25


# --- movements ---------------------------------------------------------------------------------------------------


def test_squat_is_lowest_between_its_events():
    sequences = generate(actions=["squat"], elevation_deg=0, **STILL)
    for n in range(len(sequences)):
        height = (joint(sequences, n, "hips") - joint(sequences, n, "ankles"))[:, 1]
        start, bottom, rise, upright = sequences.events[n]
        assert np.all(np.diff(height[start : bottom + 1]) < 2e-3)  # an uneven stance may lift one foot a little
        np.testing.assert_allclose(height[bottom : rise + 1], height.min(), atol=1e-5)
        assert np.all(np.diff(height[rise : upright + 1]) > -2e-3) and height[rise + 1] > height[rise]
        assert height.min() < 0.65 * height[0]


def test_jumping_jack_opens_overhead():
    sequences = generate(actions=["jumping_jack"], **STILL)
    for n in range(len(sequences)):
        wrists, nose = joint(sequences, n, "wrists")[:, 1], joint(sequences, n, "nose")[:, 1]
        stride = np.linalg.norm(joint(sequences, n, "left_ankle") - joint(sequences, n, "right_ankle"), axis=1)
        _, _, overhead, closing, together = sequences.events[n]
        assert np.all(wrists[overhead : closing + 1] > nose[overhead : closing + 1])
        assert wrists[0] < joint(sequences, n, "hips")[0, 1] + 0.2
        assert stride[overhead] > 1.5 * stride[0] and stride[overhead] > 1.5 * stride[together]


def test_jumping_jack_without_asymmetry_is_its_own_mirror_image():
    sequences = generate(actions=["jumping_jack"], asymmetry=0, **STILL)
    for n in range(len(sequences)):
        joints = sequences.joints[sequences.frames(n)].astype(np.float64)
        normal = joint(sequences, n, "left_hip") - joint(sequences, n, "right_hip")
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        offset = joints - joint(sequences, n, "hips")[:, None]
        reflected = joints - 2 * (offset * normal[:, None]).sum(axis=2, keepdims=True) * normal[:, None]
        np.testing.assert_allclose(reflected[:, sequences.skeleton.mirrored], joints, atol=1e-4)


def test_golf_swing_turns_back_and_through_with_both_hands_together():
    sequences = generate(actions=["golf_swing"], azimuth_deg=0, elevation_deg=0, **STILL)
    left_handed = 0
    for n in range(len(sequences)):
        hands = joint(sequences, n, "wrists")
        start, top, _, impact, finish = sequences.events[n]
        backwards = np.sign(hands[top, 0])
        left_handed += backwards > 0
        assert np.sign(hands[finish, 0]) == -backwards
        assert min(hands[top, 1], hands[finish, 1]) > max(hands[start, 1], hands[impact, 1]) + 0.3
        apart = np.linalg.norm(joint(sequences, n, "left_wrist") - joint(sequences, n, "right_wrist"), axis=1)
        assert np.median(apart) < 0.3
    assert 0.03 < left_handed / len(sequences) < 0.3


# --- kinematics --------------------------------------------------------------------------------------------------


def posed(**degrees: float) -> dict[str, np.ndarray]:
    positions = forward_kinematics(np.array([[degrees.get(name, 0.0) for name in ANGLES]]), Body())
    return {name: position[0] for name, position in positions.items()}


@pytest.mark.parametrize(
    ("degrees", "start", "end", "direction"),
    [
        ({}, "left_shoulder", "left_wrist", (0, -1, 0)),
        ({"left_shoulder_flexion": 90}, "left_shoulder", "left_wrist", (0, 0, 1)),
        ({"left_shoulder_abduction": 90}, "left_shoulder", "left_elbow", (1, 0, 0)),
        ({"right_shoulder_abduction": 90}, "right_shoulder", "right_elbow", (-1, 0, 0)),
        ({"left_elbow_flexion": 90}, "left_elbow", "left_wrist", (0, 0, 1)),
        ({"left_elbow_flexion": 90, "left_shoulder_rotation": 90}, "left_elbow", "left_wrist", (1, 0, 0)),
        ({"right_hip_flexion": 90}, "right_hip", "right_knee", (0, 0, 1)),
        ({"right_hip_abduction": 30}, "right_hip", "right_knee", (-0.5, -(0.75**0.5), 0)),
        ({"left_knee_flexion": 90}, "left_knee", "left_ankle", (0, 0, -1)),
        ({"trunk_rotation": 90}, "right_shoulder", "left_shoulder", (0, 0, -1)),
        ({"pelvis_rotation": 90}, "right_hip", "left_hip", (0, 0, -1)),
    ],
)
def test_angles_are_anatomical(degrees, start, end, direction):
    joints = posed(**degrees)
    bone = joints[end] - joints[start]
    np.testing.assert_allclose(bone / np.linalg.norm(bone), direction, atol=1e-9)


def test_trunk_leans_where_its_angles_say():
    upright, bent, leaning, looking = posed(), posed(trunk_flexion=30), posed(trunk_lateral=30), posed(head_rotation=40)
    assert bent["nose"][2] > upright["nose"][2] + 0.2
    assert leaning["nose"][0] > 0.2
    assert looking["nose"][0] > 0.05
    assert upright["nose"][1] > upright["left_shoulder"][1]


@given(st.lists(st.floats(-120, 120), min_size=len(ANGLES), max_size=len(ANGLES)))
@settings(max_examples=50, deadline=None)
def test_mirrored_angles_give_the_mirror_image(degrees):
    angles = np.array([degrees])
    original, image = forward_kinematics(angles, Body()), forward_kinematics(mirrored(angles), Body())
    for name, position in original.items():
        side, _, rest = name.partition("_")
        partner = {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)
        np.testing.assert_allclose(image[partner], position * [-1, 1, 1], atol=1e-9)
    assert min(original["left_ankle"][0, 1], original["right_ankle"][0, 1]) == pytest.approx(0, abs=1e-12)


# --- a user's own action -----------------------------------------------------------------------------------------

BOW = {
    "poses": {"up": {}, "down": {"trunk_flexion": 60, "knee_flexion": 10, "left_knee_flexion": 30}},
    "phases": [
        {"pose": "up", "duration_s": 1.0, "spread": 0.0},
        {"event": "starts", "pose": "down", "duration_s": 1.0, "spread": 0.0},
        {"event": "bowed", "pose": "down", "duration_s": 1.0, "spread": 0.0},
        {"event": "rises", "pose": "up", "duration_s": 1.0, "spread": 0.0},
    ],
}


def write_action(folder: Path, change=lambda action: None) -> Path:
    action = yaml.safe_load(yaml.safe_dump(BOW))
    change(action)
    path = folder / "bow.yaml"
    path.write_text(yaml.safe_dump(action), encoding="utf-8")
    return path


def lean(sequences: PoseSequences, n: int) -> np.ndarray:
    """(T,) height of the shoulders over the hips."""
    return (joint(sequences, n, "shoulders") - joint(sequences, n, "hips"))[:, 1]


def test_false_start_is_taken_back_within_the_first_phase(tmp_path):
    plain = generate(write_action(tmp_path).parent, **STILL)
    false = generate(write_action(tmp_path, lambda action: action.update(false_start=1.0)).parent, **STILL)
    for n in range(len(plain)):
        before, start = lean(plain, n)[: plain.events[n, 0] + 1], false.events[n, 0]
        np.testing.assert_allclose(before, before[0], atol=1e-5)
        after = lean(false, n)
        assert start > plain.events[n, 0]
        assert after[:start].min() < after[0] * 0.995 and after[:start].min() > after.min()
        np.testing.assert_allclose(after[start], after[0], atol=1e-5)


def test_pause_halts_the_movement_half_way(tmp_path):
    plain = generate(write_action(tmp_path).parent, elevation_deg=0, **STILL)
    paused = generate(
        write_action(tmp_path, lambda action: action["phases"][1].update(pause=1.0)).parent, elevation_deg=0, **STILL
    )
    for n in range(len(plain)):
        start, bowed = paused.events[n, :2]
        longer = (bowed - start) - (plain.events[n, 1] - plain.events[n, 0])
        moving = np.abs(np.diff(lean(paused, n)[start : bowed + 1])) > 1e-6
        assert longer >= 4 and np.sum(~moving) >= longer - 2


def test_own_key_poses_by_side(tmp_path):
    action = load_action(write_action(tmp_path))
    pose = dict(zip(ANGLES, action.key_pose("down"), strict=True))
    assert (pose["trunk_flexion"], pose["left_knee_flexion"], pose["right_knee_flexion"]) == (60, 30, 10)
    assert not action.key_pose("up").any()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda a: a["poses"]["down"].update(knee_flexon=3), "poses.down.knee_flexon"),
        (lambda a: a["poses"]["down"].update(trunk_flexion=float("nan")), "poses.down.trunk_flexion"),
        (lambda a: a["poses"].pop("up"), "poses"),
        (lambda a: a["phases"].pop(), "phases"),
        (lambda a: a["phases"][2].update(pose="dwon"), "phases.2.pose"),
        (lambda a: a["phases"][2].update(event="starts"), "phases.2.event"),
        (lambda a: a["phases"][2].pop("event"), "phases.2.event"),
        (lambda a: a["phases"][0].update(event="first"), "phases.0.event"),
        (lambda a: a["phases"][1].pop("duration_s"), "phases.1.duration_s"),
        (lambda a: a["phases"][1].update(spread=1.0), "phases.1.spread"),
        (lambda a: a.update(falsestart=0.5), "falsestart"),
    ],
)
def test_wrong_action_is_refused_by_file_and_key(tmp_path, change, key):
    path = write_action(tmp_path, change)
    with pytest.raises(InputError, match=r"^Expected .* but got ") as caught:
        generate(tmp_path)
    assert f" for {key} in {path}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["poses: {", "", "- 1\n- 2", "\x00"])
def test_file_that_is_no_action_is_refused(tmp_path, text):
    (tmp_path / "broken.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"broken\.yaml") as caught:
        generate(tmp_path)
    assert "\n" not in str(caught.value)


def test_unknown_action_and_empty_root_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'squat'\], but got \['squats'\]"):
        generate(actions=["squats"])
    with pytest.raises(InputError, match="but got none in"):
        generate(tmp_path)
