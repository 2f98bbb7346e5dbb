import pickle
from collections import Counter

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.joints3d import Joints3DConfig, read
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import read_sequences, write_sequences
from pipeline.skeleton import load_skeleton

ROD = "joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\nzaxis: [a, b]\nxaxis: [a, c]\n"


@pytest.fixture
def rod(tmp_path):
    path = tmp_path / "data" / "rod.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(ROD)
    return str(path)


def npz_file(root, rod, name="wave.npz", lengths=(5, 6, 7), drop=(), **changes):
    num_frames = sum(lengths)
    content = {
        "positions": np.arange(num_frames * 9, dtype=np.float32).reshape(num_frames, 3, 3),
        "offsets": np.cumsum([0, *lengths]),
        "names": np.array([f"{name[:-4]}_{n}" for n in range(len(lengths))]),
        "styles": np.array([f"s{n}" for n in range(len(lengths))]),
        "fps": np.float64(30),
    } | changes
    root.mkdir(exist_ok=True)
    np.savez(root / name, **{key: value for key, value in content.items() if key not in drop})
    return content


def npz_settings(tmp_path, rod, **changes):
    return {
        "root": tmp_path / "data",
        "skeleton": rod,
        "format": "npz",
        "pattern": r"(?P<action>\w+)\.npz",
        "group_key": "styles",
        "val_groups": ["s1", "s2"],
    } | changes


def text_files(root, rows=None, suffix=""):
    """Six sequences of two actions in the layout of one row per joint."""
    root.mkdir(exist_ok=True)
    for action in ("a1", "a2"):
        for person in ("p1", "p2", "p3"):
            table = np.arange(5 * 3 * 3).reshape(15, 3) if rows is None else rows
            np.savetxt(root / f"{action}_{person}{suffix}.txt", table, fmt="%.6f")


def text_settings(tmp_path, rod, **changes):
    return {
        "root": tmp_path / "data",
        "skeleton": rod,
        "format": "text",
        "pattern": r"(?P<action>a\d)_(?P<group>p\d)\.txt",
        "fps": 20,
        "val_groups": ["p2", "p3"],
    } | changes


def events_settings(tmp_path, text, **changes):
    path = tmp_path / "data" / "events.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return {"path": path} | changes


def error_of(settings, *parts):
    with pytest.raises(InputError) as caught:
        read(Joints3DConfig(**settings), "test")
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def test_npz_by_hand(tmp_path, rod):
    content = npz_file(tmp_path / "data", rod)
    npz_file(tmp_path / "data", rod, "bow.npz", lengths=(4, 4, 4))
    sequences = read(Joints3DConfig(**npz_settings(tmp_path, rod, action_names={"bow": "take a bow"})), "test")
    assert sequences.names == ("bow_0", "bow_1", "bow_2", "wave_0", "wave_1", "wave_2")
    assert sequences.actions == ("take a bow",) * 3 + ("wave",) * 3
    assert sequences.groups == ("s0", "s1", "s2") * 2 and sequences.splits == ("train", "val", "val") * 2
    assert set(sequences.fps) == {30} and sequences.lengths.tolist() == [4, 4, 4, 5, 6, 7]
    np.testing.assert_array_equal(sequences.joints[12:], content["positions"])
    assert (sequences.poses, sequences.labels, sequences.skeleton.name) == ("motion_capture", "none", "rod")


def test_the_setting_goes_before_the_files_frame_rate(tmp_path, rod):
    npz_file(tmp_path / "data", rod)
    assert set(read(Joints3DConfig(**npz_settings(tmp_path, rod, fps=50)), "test").fps) == {50}
    npz_file(tmp_path / "data", rod, drop=["fps"])
    error_of(npz_settings(tmp_path, rod), "'fps' is missing", "wave.npz")


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"up": "z"}, [1, 3, -2]),  # x right, z up: the viewer looks along +y
        ({"up": "-y"}, [1, -2, -3]),  # a camera's axes: y down, z away from it
        ({"right": "-x"}, [-1, 2, -3]),  # Kinect: x to the sensor's left, z away from it
        ({"left_handed": True}, [1, 2, -3]),  # Unity: x right, y up, z away from the viewer
        ({"up": "-x", "right": "z"}, [3, -1, -2]),
    ],
)
def test_joints_are_laid_on_right_up_and_towards_the_viewer(tmp_path, rod, axes, expected):
    text_files(tmp_path / "data", rows=np.tile([1, 2, 3], (15, 1)))
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod, **axes)), "test")
    assert (sequences.joints == expected).all()


def test_rows_of_joints_with_confidence(tmp_path, rod):
    rows = np.ones((15, 4))
    rows[4] = [7, 8, 9, 0.25]  # frame 1, joint b
    rows[8] = [7, 8, 9, 0]  # frame 2, joint c: seen by inference
    rows[9] = [0, 0, 0, 0]  # frame 3, joint a: not at all
    text_files(tmp_path / "data", rows)
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod)), "test")
    assert sequences.joints[1, 1].tolist() == [7, 8, 9] and sequences.confidence[1, 1] == 0.25
    assert sequences.confidence[2, 2] == 0 and sequences.joints[2, 2].tolist() == [0, 0, 0]
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod, inferred_confidence=0.5)), "test")
    assert sequences.joints[2, 2].tolist() == [7, 8, 9] and sequences.confidence[2, 2] == 0.5
    assert sequences.confidence[3, 0] == 0 and sequences.confidence[1, 1] == 0.25


def test_rows_of_frames_with_more_values_per_joint(tmp_path, rod):
    root = tmp_path / "data"
    root.mkdir(exist_ok=True)
    for name in ("1", "2", "3"):  # x y z and two more values of three joints, a delimiter at the end
        rows = "".join(";".join(str(10 * frame + value) for value in range(15)) + ";\n" for frame in range(4))
        (root / f"{name}.txt").write_text(rows)
    settings = text_settings(
        tmp_path, rod, pattern=r"(?P<group>\d)\.txt", layout="frame_rows", values_per_joint=5, delimiter=";"
    ) | {"val_groups": ["2", "3"], "events": events_settings(tmp_path, "n,what\n1,x\n2,x\n3,x\n")}
    settings["events"] |= {"sequence": ["n"], "action": "what"}
    sequences = read(Joints3DConfig(**settings), "test")
    assert sequences.joints[1].tolist() == [[10, 11, 12], [15, 16, 17], [20, 21, 22]]
    assert sequences.actions == ("x",) * 3 and sequences.labels == "none"


@pytest.mark.parametrize("format", ["npz", "text"])
def test_nan_is_a_missing_joint_and_infinity_an_error(tmp_path, rod, format):
    for value in (np.nan, np.inf):
        if format == "npz":
            positions = np.ones((18, 3, 3), dtype=np.float32)
            positions[2, 1, 2] = value
            npz_file(tmp_path / "data", rod, positions=positions)
            settings, name = npz_settings(tmp_path, rod), "wave.npz"
        else:
            rows = np.ones((15, 3))
            rows[7, 2] = value
            text_files(tmp_path / "data", rows)
            settings, name = text_settings(tmp_path, rod), "a1_p1.txt"
        if np.isnan(value):
            sequences = read(Joints3DConfig(**settings), "test")
            assert sequences.confidence[2].tolist() == [1, 0, 1] and sequences.joints[2, 1].tolist() == [0, 0, 0]
        else:
            error_of(settings, name, "frame 2", "joint 'b'", "inf")


def test_nan_in_a_file_with_confidences_is_an_error_where_the_joint_counts(tmp_path, rod):
    rows = np.ones((15, 4))
    rows[7] = [np.nan, 1, 1, 0.5]
    text_files(tmp_path / "data", rows)
    error_of(text_settings(tmp_path, rod), "a1_p1.txt", "frame 2", "joint 'b'", "nan")
    rows[7, 3] = 0
    text_files(tmp_path / "data", rows)
    for inferred in (0, 0.5):
        settings = text_settings(tmp_path, rod, inferred_confidence=inferred)
        assert read(Joints3DConfig(**settings), "test").confidence[2, 1] == 0


def test_useless_files_are_left_out_and_counted(tmp_path, rod, caplog):
    root = tmp_path / "data"
    text_files(root)
    (root / "a1_p4.txt").write_text("\n\n")
    for num_frames in (1, 3):
        np.savetxt(root / f"a1_p{4 + num_frames}.txt", np.ones((3 * num_frames, 3)))
    np.savetxt(root / "a1_p8.txt", np.full((15, 3), np.nan))
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod)), "test")
    assert len(sequences) == 6
    assert sequences.left_out == {
        "a1_p4": "fewer than 4 frames (0)",
        "a1_p5": "fewer than 4 frames (1)",
        "a1_p7": "fewer than 4 frames (3)",
        "a1_p8": "no joint in any frame",
    }
    assert len(caplog.records) == 4


EVENTS = "file,what,n_frames,event1,event2\na1_p1,jump,5,1,3\na1_p2,jump,5,,2\na1_p3,jump,5,,\na2_p1,run,,4,\na2_p2,run,,3,\na2_p3,run,,3,\n"


def test_events_label_and_rename(tmp_path, rod):
    text_files(tmp_path / "data")
    events = events_settings(tmp_path, EVENTS, sequence=["file"], action="what")
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod, events=events, labels="human")), "test")
    assert sequences.actions == ("jump",) * 3 + ("run",) * 3
    assert sequences.event_names == {"jump": ("event1", "event2"), "run": ("event1",)}
    assert sequences.events.tolist() == [[1, 3], [-1, 2], [-1, -1], [4, -1], [3, -1], [3, -1]]
    assert sequences.phase[:15].tolist() == [0, 1, 1, 2, 2] + [0, 0, 2, 2, 2] + [-1] * 5
    assert sequences.labels == "human"


def test_sequences_without_a_row_are_left_out_and_other_actions_are_no_matter(tmp_path, rod):
    text_files(tmp_path / "data")
    np.savetxt(tmp_path / "data" / "a2_p4.txt", np.ones((15, 3)))
    events = events_settings(tmp_path, EVENTS, sequence=["file"], action="what")
    settings = text_settings(tmp_path, rod, events=events)
    assert read(Joints3DConfig(**settings), "test").left_out == {"a2_p4": "no row in events.csv"}
    (tmp_path / "data" / "a2_p4.txt").unlink()
    sequences = read(Joints3DConfig(**settings | {"actions": ["run"]}), "test")
    assert sequences.names == ("a2_p1", "a2_p2", "a2_p3") and not sequences.left_out
    assert sequences.event_names == {"run": ("event1",)}
    error_of(settings | {"actions": ["run", "fly"]}, "['jump', 'run']", "['fly']")


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("a1_p1,jump,5,1,5", ["event 2 in frames 0..4", "got 5", "a1_p1.txt", "events.csv, line 2"]),
        ("a1_p1,jump,5,3,1", ["event 2 after frame 3", "got 1", "a1_p1.txt", "events.csv, line 2"]),
        ("a1_p1,jump,6,1,3", ["n_frames 5", "got 6", "events.csv, line 2"]),
        ("a9_p1,jump,5,1,3", ["'a9_p1'", "events.csv, line 2", "data"]),
        ("a1_p1,jump,5,one,3", ["'one'", "'event1'", "events.csv, line 2"]),
    ],
)
def test_events_that_contradict_the_files(tmp_path, rod, row, parts):
    text_files(tmp_path / "data")
    text = EVENTS.replace("a1_p1,jump,5,1,3", row)
    events = events_settings(tmp_path, text, sequence=["file"], action="what")
    error_of(text_settings(tmp_path, rod, events=events), *parts)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


def test_no_pickle_is_ever_loaded(tmp_path, rod):
    root = tmp_path / "data"
    for key in ("positions", "names", "styles"):
        npz_file(root, rod, **{key: np.array([Trap()], dtype=object)})
        error_of(npz_settings(tmp_path, rod), "wave.npz", "plain arrays", "without pickled objects")
    (root / "wave.npz").write_bytes(pickle.dumps({"positions": Trap()}))
    error_of(npz_settings(tmp_path, rod), "wave.npz", "without pickled objects")


def test_damaged_npz(tmp_path, rod):
    path = tmp_path / "data" / "wave.npz"
    npz_file(tmp_path / "data", rod)
    content = path.read_bytes()
    for damaged in (b"", content[:100], content[:-40], content.replace(b"\x93NUMPY", b"\x93NUMBY")):
        path.write_bytes(damaged)
        error_of(npz_settings(tmp_path, rod), path, "npz file of plain arrays")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    error_of(npz_settings(tmp_path, rod), path, "npz file of plain arrays")


def test_wrong_npz_content(tmp_path, rod):
    for key in ("positions", "offsets", "names", "styles"):
        npz_file(tmp_path / "data", rod, drop=[key])
        error_of(npz_settings(tmp_path, rod), f"{key!r} is missing", "wave.npz")
    for changes, part in (
        ({"positions": np.zeros((18, 4, 3))}, "(18, 4, 3)"),
        ({"positions": np.full((18, 3, 3), "x")}, "<U1"),
        ({"offsets": np.array([0, 5, 11])}, "(3,)"),
        ({"offsets": np.array([0, 5, 11, 19])}, "[19]"),
        ({"offsets": np.array([1, 5, 11, 18])}, "[1]"),
        ({"offsets": np.array([0, 11, 5, 18])}, "rise"),
        ({"offsets": np.array([0.0, 5, 11, 18])}, "offsets"),
        ({"styles": np.array(["s0", "s1"])}, "styles"),
        ({"fps": np.array([30.0, 25.0])}, "(2,)"),
        ({"fps": np.float64(0)}, "frame rate above 0"),
    ):
        npz_file(tmp_path / "data", rod, **changes)
        error_of(npz_settings(tmp_path, rod), part, "wave.npz")


def reason_of(settings, name, part):
    """Only the file at fault is left out, and the reason names it."""
    sequences = read(Joints3DConfig(**settings), "test")
    assert set(sequences.left_out) == {name} and name not in sequences.names
    assert part in sequences.left_out[name] and f"{name}.txt" in sequences.left_out[name]


def test_wrong_text_content(tmp_path, rod):
    root = tmp_path / "data"
    for text, part in (
        ("1 2 3\n" * 14, "(14, 3)"),
        ("1 2\n" * 15, "(15, 2)"),
        ("1 2 3 1 5\n" * 15, "(15, 5)"),
        ("1 2 3\n" * 14 + "1 2\n", "rows of numbers"),
        ("1 2 3\n" * 14 + "1 2 three\n", "three"),
    ):
        text_files(root)
        (root / "a1_p4.txt").write_text(text)
        reason_of(text_settings(tmp_path, rod), "a1_p4", part)
    (root / "a1_p4.txt").write_bytes(b"\xff\xfe" * 40)
    reason_of(text_settings(tmp_path, rod), "a1_p4", "rows of numbers")
    for path in root.glob("*.txt"):
        path.write_text("1 2 3 4 5 6 7 8 9\n" * 5)
    (root / "a1_p4.txt").write_text("1 2 3 4 5 6 7 8\n" * 5)
    reason_of(text_settings(tmp_path, rod, layout="frame_rows"), "a1_p4", "9 numbers, but got (5, 8)")


def test_nothing_or_something_twice(tmp_path, rod):
    (tmp_path / "data").mkdir(exist_ok=True)
    error_of(text_settings(tmp_path, rod), tmp_path / "data", "there is none", "'pattern'")
    text_files(tmp_path / "data")
    text_files(tmp_path / "data", suffix="_again")
    found = read(
        Joints3DConfig(**text_settings(tmp_path, rod, pattern=r"(?P<name>(?P<action>a\d)_(?P<group>p\d)).*")), "test"
    )
    assert len(found) == 6 and len(found.left_out) == 6 and all("_again.txt" in path for path in found.left_out)


def test_splits(tmp_path, rod):
    text_files(tmp_path / "data")
    error_of(text_settings(tmp_path, rod, val_groups=["p2", "p7"]), "['p1', 'p2', 'p3']", "['p7']", "data")
    error_of(text_settings(tmp_path, rod, val_groups=["p2"]), "2 val videos", "got 1", "'a1'", "'test'")
    error_of(text_settings(tmp_path, rod, val_groups=["p1", "p2", "p3"]), "1 train videos", "got 0")


def drawn(tmp_path, rod, **changes):
    sequences = read(Joints3DConfig(**text_settings(tmp_path, rod, val_groups=None, **changes)), "test")
    return {name for name, split in zip(sequences.names, sequences.splits, strict=True) if split == "val"}


def test_a_share_of_the_groups_is_the_same_in_every_action(tmp_path, rod):
    root = tmp_path / "data"
    root.mkdir(exist_ok=True)
    for action in ("a1", "a2"):
        for person in range(10):
            np.savetxt(root / f"{action}_p{person}.txt", np.ones((15, 3)))
    draws = {seed: drawn(tmp_path, rod, val_fraction=0.3, seed=seed) for seed in range(5)}
    for names in draws.values():
        people = {name[3:] for name in names}
        assert len(people) == 3 and names == {f"{action}_{person}" for action in ("a1", "a2") for person in people}
    assert draws[0] == drawn(tmp_path, rod, val_fraction=0.3)
    assert len({frozenset(names) for names in draws.values()}) > 1
    ungrouped = drawn(tmp_path, rod, val_fraction=0.3, pattern=r"(?P<action>a\d)_p\d\.txt")
    assert Counter(name[:2] for name in ungrouped) == {"a1": 3, "a2": 3}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"val_fraction": 0.5}, "give one of val_groups, val_fraction"),
        ({"val_groups": None}, "give one of val_groups, val_fraction"),
        ({"up": "-x"}, "same axis"),
        ({"pattern": r"(?P<action>a\d"}, "no regular expression"),
        ({"pattern": r"a\d.*"}, "(?P<action>...)"),
        ({"fps": None}, "need fps"),
        ({"colour": "red"}, "there is no such setting"),
        ({"events": {"path": "x.csv", "video": "y"}}, "there is no such setting"),
    ],
)
def test_wrong_settings(tmp_path, rod, changes, part):
    with pytest.raises(ValidationError) as caught:
        Joints3DConfig(**text_settings(tmp_path, rod) | changes)
    assert part in caught.value.errors()[0]["msg"]


BANDAI = r"""
reader: joints3d
root: data/raw/bandai_raise
skeleton: bandai_21
format: npz
pattern: (?P<action>.+)\.npz
group_key: styles
val_groups: [elderly, normal]
events:
  path: data/raw/bandai_raise/derived_events.csv
  action: action
  columns: [hands_rise_past_60pct, top, hands_fall_below_60pct]
labels: derived
"""

MSR = r"""
reader: joints3d
root: data/raw/msr_action3d
skeleton: kinect_20
format: text
pattern: skeletons/(?P<name>a\d+_(?P<group>s\d+)_e\d+)_skeleton3D\.txt
fps: 15
right: -x # x points to the sensor's left, z away from it
inferred_confidence: 0.5
val_groups: [s07, s08, s09, s10]
events:
  path: data/raw/msr_action3d/derived_events.csv
  action: action
labels: derived
"""

# Hands of one size follow each other in the files' numbers: most likely one performer each. The split cuts between.
SFINGE = r"""
reader: joints3d
root: data/raw/sfinge3d_hand
skeleton: sfinge_20
format: text
pattern: Dictionary/(?P<name>(?P<group>(6|12)/\d+)\.txt)
layout: frame_rows
values_per_joint: 7
delimiter: ;
fps: 20
left_handed: true
val_groups: [6/27, 6/28, 6/29, 6/30, 6/31, 6/32, 6/33, 6/34, 6/35, 6/36,
             12/25, 12/26, 12/27, 12/28, 12/29, 12/30, 12/31, 12/32, 12/33, 12/34, 12/35, 12/36]
events:
  path: data/raw/sfinge3d_hand/derived_events.csv
  sequence: [class, file]
  action: gesture
labels: derived
"""


def real(text, shared, tmp_path):
    """The sequences of a `source` entry, through a store, with the shared folder in the place of data/raw."""
    sequences = read(Joints3DConfig(**yaml.safe_load(text.replace("data/raw", str(shared)))), "real")
    write_sequences(sequences, tmp_path / "poses")
    found = read_sequences(tmp_path / "poses")
    np.testing.assert_array_equal(found.joints, sequences.joints)
    for normalise in ("none", "casa"):
        projected = project(found, ProjectConfig(normalise=normalise))
        assert len(projected) == len(found) and not projected.left_out
        assert projected.joints.min() >= 0 and projected.joints.max() <= 255
    return found


def counts(sequences):
    found = Counter(zip(sequences.actions, sequences.splits, strict=True))
    return {action: (found[action, "train"], found[action, "val"]) for action in sequences.event_names}


def height(sequences, n, *joints):
    """(T,) mean height of the named joints in one sequence."""
    index = [sequences.skeleton.joints.index(joint) for joint in joints]
    return sequences.joints[sequences.frames(n)][:, index, 1].mean(axis=1)


@pytest.mark.shared
def test_bandai(shared, tmp_path):
    sequences = real(BANDAI, shared, tmp_path)
    assert len(sequences) == 1315 and sequences.num_frames == 105_527 and not sequences.left_out
    assert counts(sequences) == {
        "raise-up-both-hands": (321, 113),
        "raise-up-left-hand": (326, 118),
        "raise-up-right-hand": (316, 121),
    }
    assert (sequences.events >= 0).all() and set(sequences.fps) == {30} and (sequences.confidence == 1).all()
    for n in range(0, 1315, 20):
        sides = [side for side in ("left", "right") if f"-{side}-" in sequences.actions[n]] or ["left", "right"]
        hands = height(sequences, n, *[f"{side}_hand" for side in sides])
        assert hands[sequences.events[n, 1]] > hands.min() + 0.95 * np.ptp(hands)
        # The performer faces the viewer: his left side at the right.
        left, right = (sequences.skeleton.joints.index(f"{side}_upper_arm") for side in ("left", "right"))
        frames = sequences.frames(n)
        assert (sequences.joints[frames, left, 0] > sequences.joints[frames, right, 0]).mean() > 0.9


@pytest.mark.shared
def test_msr_action3d(shared, tmp_path):
    sequences = real(MSR, shared, tmp_path)
    assert len(sequences) == 140 and not sequences.left_out
    assert counts(sequences) == {
        "forward_kick": (18, 12),
        "side_kick": (8, 12),
        "tennis_swing": (18, 12),
        "tennis_serve": (18, 12),
        "golf_swing": (18, 12),
    }
    assert set(sequences.groups) == {f"s{n:02d}" for n in range(1, 11)}
    assert {action: len(names) for action, names in sequences.event_names.items()} == {
        "forward_kick": 1, "side_kick": 1, "tennis_swing": 1, "tennis_serve": 2, "golf_swing": 2,
    }  # fmt: skip
    assert (sequences.confidence == 0).mean() < 0.01
    for n in range(140):
        assert np.median(height(sequences, n, "head") - height(sequences, n, "left_foot", "right_foot")) > 0.9
    for n in sequences.where("tennis_serve"):
        if sequences.events[n, 1] >= 0:
            hand = height(sequences, n, "right_hand")
            assert hand[sequences.events[n, 1]] > np.quantile(hand, 0.8)


@pytest.mark.shared
def test_sfinge3d_hand(shared, tmp_path):
    sequences = real(SFINGE, shared, tmp_path)
    assert len(sequences) == 72 and not sequences.left_out
    assert counts(sequences) == {"swipe_V": (24, 12), "pinch": (26, 10)}
    assert sequences.events.shape == (72, 3) and sequences.event_names["pinch"] == ("event1", "event2")
    joints = [load_skeleton("sfinge_20").joints.index(name) for name in ("thumb_end", "index_end")]
    for n in sequences.where("pinch"):
        start, stop = sequences.events[n, :2]
        if start >= 0 and stop >= 0:
            tips = sequences.joints[sequences.frames(n)][:, joints]
            gap = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=1)
            assert gap[start:stop].mean() < gap[:start].mean()
    for n in sequences.where("swipe_V"):
        first, bottom, last = sequences.events[n]
        if min(first, bottom, last) >= 0:
            palm = height(sequences, n, "palm")
            assert palm[bottom] < palm[first] and palm[bottom] < palm[last]


@pytest.mark.parametrize("side", ["skeleton", "events"])
def test_side_files_lie_below_the_root_where_the_graph_sees_them_change(tmp_path, rod, side):
    npz_file(tmp_path / "data", rod)
    outside = tmp_path / "side.yaml"
    outside.write_text(ROD)
    changes = {"skeleton": str(outside)} if side == "skeleton" else {"events": {"path": outside}}
    error_of(npz_settings(tmp_path, rod, **changes), "below root", "side.yaml")
    inside = {"skeleton": "rod.yaml"}
    assert len(read(Joints3DConfig(**npz_settings(tmp_path, rod, **inside)), "test")) == 3


@pytest.mark.parametrize(
    "changes, part", [({"names": np.array("x")}, "(N,) names"), ({"fps": np.array("fast")}, "one frame rate")]
)
def test_npz_fields_of_the_wrong_kind_are_one_line(tmp_path, rod, changes, part):
    npz_file(tmp_path / "data", rod, **changes)
    error_of(npz_settings(tmp_path, rod), part, "wave.npz")
