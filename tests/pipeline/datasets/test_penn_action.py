from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.config import InputError
from pipeline.datasets.penn_action import PennActionConfig, read
from pipeline.sequence import read_sequences, write_sequences


def label_file(root, name, action="squat", train=1, num_frames=8, drop=(), **changes):
    """A label file in the official layout: MATLAB row vectors, matrices, and uint8 and uint16 counts."""
    rng = np.random.default_rng(int(name))
    content = {
        "action": np.array([action]),
        "pose": np.array(["front"]),
        "x": rng.uniform(1, 480, (num_frames, 13)),
        "y": rng.uniform(1, 360, (num_frames, 13)),
        "visibility": np.ones((num_frames, 13), dtype=np.uint8),
        "train": np.int32(train),
        "bbox": np.ones((num_frames, 4)),
        "dimensions": np.array([[360, 480, num_frames]], dtype=np.uint16),
        "nframes": np.uint8(num_frames),
    } | changes
    path = root / "labels" / f"{name}.mat"
    path.parent.mkdir(exist_ok=True)
    savemat(path, {key: value for key, value in content.items() if key not in drop})
    return content


@pytest.fixture
def root(tmp_path):
    for name, train in (("0001", 1), ("0002", -1), ("0003", -1)):
        label_file(tmp_path, name, train=train)
    for name, train in (("0011", 1), ("0012", -1), ("0013", -1)):
        label_file(tmp_path, name, action="bowl", train=train)
    return tmp_path


def events_file(root, text, header="action,video_id,event1,event2"):
    path = root / "events.csv"
    path.write_text(f"{header}\n{text}\n")
    return path


def error_of(*parts, **settings):
    with pytest.raises(InputError) as caught:
        read(PennActionConfig(**settings), "penn")
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def test_a_label_file_by_hand(root):
    visibility = np.ones((8, 13), dtype=np.uint8)
    visibility[2, 5] = 0
    x, y = np.full((8, 13), 11.5), np.full((8, 13), 1.0)
    label_file(root, "0001", x=x, y=y, visibility=visibility)
    sequences = read(PennActionConfig(root=root), "penn")
    assert sequences.names == ("0001", "0002", "0003", "0011", "0012", "0013")
    assert sequences.splits == ("train", "val", "val") * 2
    assert sequences.actions == ("squat",) * 3 + ("bowl",) * 3
    assert sequences.joints[0, 0].tolist() == [10.5, 0]  # MATLAB's first pixel is 1
    assert sequences.joints[2, 5].tolist() == [0, 0] and sequences.confidence[2, 5] == 0
    assert sequences.frame_size.tolist() == [[480, 360]] * 6
    assert set(sequences.fps) == {20}
    assert (sequences.skeleton.name, sequences.poses, sequences.labels) == ("penn_13", "annotated", "none")


def test_frames_beside_the_labels_are_the_footage(root):
    assert set(read(PennActionConfig(root=root), "penn").videos) == {""}
    (root / "frames/0001").mkdir(parents=True)
    sequences = read(PennActionConfig(root=root), "penn")
    n = sequences.names.index("0001")
    assert sequences.videos[n] == str(root / "frames/0001") and set(sequences.videos) == {"", sequences.videos[n]}
    assert sequences.video_frames[sequences.frames(n)].tolist() == list(range(sequences.lengths[n]))


def test_actions_by_either_name(root):
    for actions in (["bowl"], ["bowling"]):
        assert read(PennActionConfig(root=root, actions=actions), "penn").actions == ("bowl",) * 3
    events = events_file(root, "bowling,0011,2,4\nbowling,0012,1,3\nbowling,0013,,5")
    for actions in (None, ["bowl"], ["bowling"]):
        sequences = read(PennActionConfig(root=root, events=events, actions=actions), "penn")
        assert sequences.event_names == {"bowl": ("ball_fully_back", "ball_release")}
        assert sequences.events.tolist() == [[2, 4], [1, 3], [-1, 5]]


def test_unused_actions_are_read_only_when_named(root):
    for name, train in (("0021", 1), ("0022", -1), ("0023", -1)):
        label_file(root, name, action="jump_rope", train=train)
    assert "jump_rope" not in read(PennActionConfig(root=root), "penn").actions
    assert set(read(PennActionConfig(root=root, actions=["jump_rope"]), "penn").actions) == {"jump_rope"}


def test_videos_without_a_row_are_left_out_and_counted(root):
    label_file(root, "0004")
    events = events_file(root, "squat,1,2,4\nsquat,2,2,4\nsquat,0003,2,4")  # a spreadsheet took the zeros
    sequences = read(PennActionConfig(root=root, events=events, labels="human"), "penn")
    assert sequences.names == ("0001", "0002", "0003")
    assert sequences.left_out == {"0004": "no row in events.csv"}
    assert sequences.labels == "human"


def test_useless_videos_are_left_out_and_counted(root, caplog):
    label_file(root, "0004", visibility=np.zeros((8, 13), dtype=np.uint8))
    for num_frames in (1, 2, 3):
        label_file(root, f"000{4 + num_frames}", num_frames=num_frames)
    sequences = read(PennActionConfig(root=root), "penn")
    assert len(sequences) == 6
    assert sequences.left_out == {
        "0004": "no joint in any frame",
        "0005": "fewer than 4 frames (1)",
        "0006": "fewer than 4 frames (2)",
        "0007": "fewer than 4 frames (3)",
    }
    assert len(caplog.records) == 4


def test_wrong_label_files(root):
    path = root / "labels" / "0001.mat"
    for key in ("x", "y", "visibility", "train", "action", "nframes", "dimensions"):
        label_file(root, "0001", drop=[key])
        error_of(f"{key!r} is missing", path, root=root)
    label_file(root, "0001", visibility=np.ones((7, 13), dtype=np.uint8))
    error_of("(8, 13)", "(7, 13)", path, root=root)
    label_file(root, "0001", nframes=np.uint8(9))
    error_of("nframes is 9", "(8, 13)", path, root=root)
    label_file(root, "0001", y=np.ones((8, 12)))
    error_of("(8, 12)", path, root=root)
    label_file(root, "0001", train=np.int32(0))
    error_of("train 1 or -1", "got 0", path, root=root)
    label_file(root, "0001", x=np.array([["text"]], dtype=object))
    error_of("types", path, root=root)


def test_damaged_label_files(root):
    path = root / "labels" / "0001.mat"
    content = path.read_bytes()
    for damaged in (b"", content[:40], content[:400], content[:128] + b"\xff" * 64 + content[192:], b"not MATLAB" * 50):
        path.write_bytes(damaged)
        error_of(path, "Copy the file again", root=root)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_visible_joint_without_a_place(root, value):
    x = np.ones((8, 13))
    x[5, 3] = value
    label_file(root, "0001", x=x)
    error_of(root / "labels" / "0001.mat", "frame 5", "'left_elbow'", value, root=root)
    label_file(root, "0001", x=x, visibility=np.where(np.isfinite(x), 1, 0).astype(np.uint8))
    assert read(PennActionConfig(root=root), "penn").confidence[5, 3] == 0


ALL = "squat,0002,2,4\nsquat,0003,2,4"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"squat,0009,2,4\n{ALL}", ["'0009'", "events.csv, line 2", "labels"]),
        (f"squat,0001,2,8\n{ALL}", ["event 2 in frames 0..7", "got 8", "events.csv, line 2", "0001.mat"]),
        (f"squat,0001,4,2\n{ALL}", ["event 2 after frame 4", "got 2", "events.csv, line 2", "0001.mat"]),
        (f"squat,0001,4,x\n{ALL}", ["'x'", "'event2'", "events.csv, line 2"]),
        (f"situp,0001,2,4\n{ALL}", ["'squat'", "0001.mat", "'situp'", "events.csv, line 2"]),
        (f"{ALL}", ["1 train videos", "got 0", "'squat'", "'penn'"]),
        ("squat,0001,2,4\nsquat,0002,2,4", ["2 val videos", "got 1", "'squat'", "'penn'"]),
    ],
)
def test_events_that_contradict_the_label_files(root, text, parts):
    error_of(*parts, root=root, events=events_file(root, text))


def test_optional_columns_are_compared_with_the_label_files(root):
    header = "action,video_id,split,n_frames,event1"
    events = events_file(root, "squat,0001,train,8,2\nsquat,0002,val,8,2\nsquat,0003,val,8,2", header)
    assert len(read(PennActionConfig(root=root, events=events), "penn")) == 3
    events = events_file(root, "squat,0001,train,9,2\nsquat,0002,val,8,2\nsquat,0003,val,8,2", header)
    error_of("n_frames 8", "got 9", "events.csv, line 2", root=root, events=events)
    events = events_file(root, "squat,0001,val,8,2\nsquat,0002,val,8,2\nsquat,0003,val,8,2", header)
    error_of("'train'", "0001.mat", "got 'val'", "events.csv, line 2", root=root, events=events)


def test_wrong_settings(root, tmp_path):
    error_of(tmp_path / "nowhere" / "labels", "'root'", root=tmp_path / "nowhere")
    error_of("'squat'", "['jogging']", root=root, actions=["squat", "jogging"])
    events = events_file(root, f"squat,0001,2,4\n{ALL}")
    error_of("['bowl']", events, root=root, actions=["squat", "bowling"], events=events)
    error_of("No such file", "nowhere.csv", root=root, events=tmp_path / "nowhere.csv")


@pytest.mark.shared
def test_six_actions_of_the_real_data_set(shared, tmp_path):
    root = shared / "penn_action"
    sequences = read(PennActionConfig(root=root, events=root / "derived_events.csv"), "penn_action")
    found = Counter(zip(sequences.actions, sequences.splits, strict=True))
    assert {action: (found[action, "train"], found[action, "val"]) for action in sequences.event_names} == {
        "bench_press": (65, 69),
        "jumping_jacks": (54, 55),
        "pullup": (98, 101),
        "pushup": (102, 105),
        "situp": (50, 50),
        "squat": (111, 114),
    }
    assert len(sequences) == 974 and len(sequences.left_out) == 19
    assert {action: len(names) for action, names in sequences.event_names.items()} == {
        "bench_press": 1, "jumping_jacks": 3, "pullup": 1, "pushup": 1, "situp": 1, "squat": 3,
    }  # fmt: skip
    visible = sequences.joints[sequences.confidence > 0]
    assert visible.min() >= 0 and (visible.max(axis=0) <= sequences.frame_size.max(axis=0)).all()
    # In the deepest squat the hips are lower in the image than at the start.
    hips = [7, 8]
    for n in sequences.where("squat")[:50]:
        frames = sequences.frames(n)
        y = np.where(sequences.confidence[frames][:, hips] > 0, sequences.joints[frames][:, hips, 1], np.nan)
        lowest, first = y[sequences.events[n, 1]], y[0]
        assert not (lowest < first).any()
    write_sequences(sequences, tmp_path / "poses")
    np.testing.assert_array_equal(read_sequences(tmp_path / "poses").joints, sequences.joints)


@pytest.mark.shared
def test_the_papers_13_actions_of_the_real_data_set(shared):
    sequences = read(PennActionConfig(root=shared / "penn_action"), "penn_action")
    assert len(set(sequences.actions)) == 13 and len(sequences) == 2149
    assert sequences.left_out == {"1516": "no joint in any frame"}
    assert sequences.labels == "none"
