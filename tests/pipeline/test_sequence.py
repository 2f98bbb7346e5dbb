import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import Clip, phases_from_events
from pipeline.config import InputError
from pipeline.sequence import clips_of, from_clips, read_sequences, write_sequences
from pipeline.skeleton import Skeleton, load_skeleton
from pipeline.store import check, finish, open_partial, open_store

PENN = load_skeleton("penn_13")
ARRAYS = ("joints", "confidence", "phase", "events", "offsets", "fps", "frame_size", "video_frames")


def clip(name="a", split="train", num_frames=8, action="squat", events=(2, 4), seed=0, **changes):
    rng = np.random.default_rng([seed, num_frames])
    made = Clip(
        name=name,
        action=action,
        split=split,
        joints=rng.uniform(0, 100, (num_frames, 13, 2)),
        confidence=rng.uniform(0.1, 1, (num_frames, 13)),
        fps=25.0,
        events=events,
        group=f"person_{name}",
        frame_size=(640, 480),
        source=f"{name}.mat",
    )
    return replace(made, **changes)


def three(*others):
    return [clip(), clip("b", "val", 6), clip("c", "val", 9), *others]


def build(clips, event_names=None, **changes):
    settings = {
        "dataset": "penn",
        "skeleton": PENN,
        "event_names": {"squat": ("down", "up")} if event_names is None else event_names,
        "poses": "annotated",
        "labels": "derived",
    }
    return from_clips(clips, **(settings | changes))


def error_of(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("Expected")
    return message


@pytest.fixture
def store(tmp_path):
    write_sequences(build(three()), tmp_path / "poses")
    return tmp_path / "poses"


@given(st.lists(st.integers(-1, 14), max_size=4), st.integers(0, 15))
def test_phase_is_the_last_event_that_has_begun(events, num_frames):
    events = sorted({event for event in events if event >= 0}) + [-1] * events.count(-1)

    def slow(frame):
        begun = [number for number, event in enumerate(events, start=1) if 0 <= event <= frame]
        return max(begun, default=0)

    assert phases_from_events(events, num_frames).tolist() == [slow(frame) for frame in range(num_frames)]


def test_clips_are_concatenated_in_order_with_their_phases():
    clips = three(clip("d", num_frames=5, events=(-1, 3)))
    sequences = build(clips)
    assert sequences.names == ("a", "b", "c", "d")
    assert sequences.offsets.tolist() == [0, 8, 14, 23, 28]
    assert sequences.lengths.tolist() == [8, 6, 9, 5]
    for n, one in enumerate(clips):
        np.testing.assert_array_equal(sequences.joints[sequences.frames(n)], one.joints.astype(np.float32))
    assert sequences.phase[sequences.frames(0)].tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    assert sequences.phase[sequences.frames(3)].tolist() == [0, 0, 0, 2, 2]
    assert sequences.where("squat") == [0, 1, 2, 3] and sequences.where("squat", "val") == [1, 2]


def test_actions_with_different_numbers_of_events_share_one_table():
    others = [
        clip(name, split, action="situp", events=(3,)) for name, split in (("x", "train"), ("y", "val"), ("z", "val"))
    ]
    sequences = build(three(*others), {"squat": ("down", "up"), "situp": ("crunched",)})
    assert sequences.events.tolist() == [[2, 4]] * 3 + [[3, -1]] * 3
    assert [one.events for one in clips_of(sequences)][3:] == [(3,)] * 3


@pytest.mark.parametrize("events", [(), (-1, -1)])
def test_a_clip_without_any_event_is_unlabelled_and_stays_so(events, tmp_path):
    sequences = build(three(clip("d", events=events)))
    assert (sequences.phase[sequences.frames(3)] == -1).all()
    assert (sequences.phase[: sequences.offsets[3]] >= 0).all()
    write_sequences(sequences, tmp_path / "poses")
    again = build(list(clips_of(read_sequences(tmp_path / "poses"))))
    np.testing.assert_array_equal(again.phase, sequences.phase)


def test_without_events_the_labels_are_none(tmp_path):
    sequences = build([replace(one, events=()) for one in three()])
    assert sequences.labels == "none" and (sequences.phase == -1).all()
    write_sequences(sequences, tmp_path / "poses")
    assert read_sequences(tmp_path / "poses").labels == "none"


def test_missing_joints_hold_zero_whatever_the_file_gave():
    one = clip("d")
    one.joints[1, 2], one.confidence[1, 2] = np.nan, 0
    one.joints[3, 4], one.confidence[3, 4] = 77, np.nan
    sequences = build(three(one))
    frames = sequences.frames(3)
    for frame, joint in ((1, 2), (3, 4)):
        assert sequences.joints[frames][frame, joint].tolist() == [0, 0]
        assert sequences.confidence[frames][frame, joint] == 0
    assert np.isfinite(sequences.joints).all()


@pytest.mark.parametrize("num_frames", [0, 1, 2, 3])
def test_a_short_clip_is_left_out_and_counted(num_frames, caplog):
    sequences = build(three(clip("short", num_frames=num_frames, events=())), left_out={"z": "no row"})
    assert sequences.left_out == {"z": "no row", "short": f"fewer than 4 frames ({num_frames})"}
    assert sequences.names == ("a", "b", "c") and "left out short" in caplog.text


def test_a_clip_without_joints_is_left_out_and_counted(caplog):
    sequences = build(three(clip("empty", confidence=np.zeros((8, 13)))))
    assert sequences.left_out == {"empty": "no joint in any frame"}
    assert "left out empty: no joint in any frame" in caplog.text


def with_joint(value, confidence=1.0):
    one = clip("d")
    one.joints[5, 3, 1], one.confidence[5, 3] = value, confidence
    return one


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (lambda: with_joint(np.nan), ["'d' (d.mat), frame 5", "'left_elbow'", "nan"]),
        (lambda: with_joint(-np.inf, 0.2), ["'d' (d.mat), frame 5", "'left_elbow'", "-inf"]),
        (lambda: with_joint(1.0, 1.5), ["'d' (d.mat), frame 5", "[0, 1]", "1.5"]),
        (lambda: with_joint(1.0, -0.5), ["'d' (d.mat), frame 5", "[0, 1]", "-0.5"]),
        (lambda: clip("d", events=(3, 8)), ["event 2 in frames 0..7", "got 8", "d.mat"]),
        (lambda: clip("d", events=(-2, 4)), ["event 1 in frames 0..7", "got -2", "d.mat"]),
        (lambda: clip("d", events=(4, 4)), ["event 2 after frame 4", "got 4", "d.mat"]),
        (lambda: clip("d", events=(4, 3)), ["event 2 after frame 4", "got 3", "d.mat"]),
        (lambda: clip("d", events=(4,)), ["2 key events", "got 1", "d.mat"]),
        (lambda: clip("d", fps=0.0), ["frame rate above 0", "got 0.0", "d.mat"]),
        (lambda: clip("d", fps=np.nan), ["frame rate above 0", "d.mat"]),
        (lambda: clip("d", split="test"), ["'train' or 'val'", "'test'", "d.mat"]),
        (lambda: clip("d", joints=np.zeros((8, 12, 2))), ["(T, 13, 2 or 3)", "(8, 12, 2)", "'penn_13'", "d.mat"]),
        (lambda: clip("d", confidence=np.ones((7, 13))), ["(8, 13, 2) and (7, 13)", "d.mat"]),
        (lambda: clip("a"), ["'a' twice", "a.mat"]),
    ],
)
def test_wrong_data_is_one_line_that_names_the_place(wrong, parts):
    message = error_of(build, three(wrong()))
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("clips", "parts"),
    [
        ([clip(), clip("b")], ["2 val videos", "got 0", "'squat'", "'penn'"]),
        ([clip(), clip("b", "val")], ["2 val videos", "got 1"]),
        ([clip("b", "val"), clip("c", "val")], ["1 train videos", "got 0"]),
        # Enough in the files, not enough once the useless is left out.
        ([clip(), clip("b", "val"), clip("c", "val", 2, events=())], ["2 val videos", "got 1"]),
        ([clip(num_frames=1, events=())], ["'penn' has none that can be used"]),
        ([], ["'penn' has none that can be used"]),
    ],
)
def test_a_split_without_enough_videos_is_refused(clips, parts):
    message = error_of(build, clips)
    for part in parts:
        assert part in message


@given(
    lengths=st.lists(st.integers(4, 9), min_size=3, max_size=6),
    dims=st.sampled_from([2, 3]),
    missing=st.floats(0, 0.9),
    seed=st.integers(0, 999),
)
def test_a_store_gives_back_what_was_written(tmp_path_factory, lengths, dims, missing, seed):
    rng = np.random.default_rng(seed)
    clips = []
    for n, length in enumerate(lengths):
        seen = rng.random((length, 13)) >= missing
        seen[0, 0] = True
        joints = rng.normal(size=(length, 13, dims))
        clips.append(clip(f"clip {n}", "val" if n < 2 else "train", length, joints=joints, confidence=seen * 0.7))
    clips = [replace(one, events=(1, -1)) for one in clips]
    clips[0] = replace(clips[0], video="raw/clip 0.mp4", video_frames=np.arange(lengths[0]) * 3 + 1)
    sequences = build(clips, left_out={"x": "no row"}, provenance={"estimator": "toy (1)"})
    path = tmp_path_factory.mktemp("store") / "poses"
    write_sequences(sequences, path)
    found = read_sequences(path)
    for name in ARRAYS:
        array = getattr(sequences, name)
        np.testing.assert_array_equal(getattr(found, name), array)
        assert getattr(found, name).dtype == array.dtype
    for name in set(vars(sequences)) - set(ARRAYS):
        assert getattr(found, name) == getattr(sequences, name)


def test_equal_sequences_are_equal_bytes_and_replace_what_was_there(store, tmp_path):
    def contents(path):
        return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}

    before = contents(store)
    write_sequences(build(three(clip("d"))), store)
    assert len(read_sequences(store)) == 4
    write_sequences(build(three()), store)
    assert contents(store) == before
    assert [path.name for path in tmp_path.iterdir()] == ["poses"]


def files_of(store):
    manifest = json.loads((store / "manifest.json").read_text())
    assert {"zarr.json", "joints/zarr.json", "joints/c/0/0/0", "phase/c/0"} <= set(manifest["files"])
    return manifest


@pytest.mark.parametrize("name", ["joints/c/0/0/0", "phase/c/0", "joints/zarr.json", "zarr.json"])
def test_a_damaged_store_is_one_line_that_names_the_file(store, name):
    files_of(store)
    file = store / name
    content = file.read_bytes()

    file.write_bytes(content[:-3])
    message = error_of(read_sequences, store)
    assert str(file) in message and "truncated" in message and f"got {len(content) - 3}" in message

    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = error_of(read_sequences, store)
    assert str(file) in message and "damaged" in message

    file.unlink()
    message = error_of(read_sequences, store)
    assert str(file) in message and "it is missing" in message

    file.write_bytes(content)
    assert len(read_sequences(store)) == 3


@pytest.mark.parametrize("text", [None, "", '{"zarr.json": [1', "[]", "{}", '{"files": 3}', "\udcff"])
def test_a_damaged_manifest_is_one_line_that_names_it(store, text):
    manifest = store / "manifest.json"
    if text is None:
        manifest.unlink()
    else:
        manifest.write_bytes(text.encode("utf-8", "surrogateescape"))
    message = error_of(read_sequences, store)
    assert str(manifest) in message and "Delete it and run its stage again" in message


def test_another_kind_or_no_store_is_refused(store, tmp_path):
    assert str(tmp_path / "none") in error_of(read_sequences, tmp_path / "none")
    message = error_of(open_store, store, "heatmaps")
    assert "heatmaps" in message and "'poses'" in message and str(store) in message


def test_events_are_checked_again_on_reading(store):
    """A store whose manifest is right but whose content is not (written by other code) is refused, too."""
    import zarr

    zarr.open_group(store, mode="r+")["events"][...] = 99
    file = store / "events/c/0/0"
    manifest = files_of(store)
    manifest["files"]["events/c/0/0"] = [file.stat().st_size, zlib.crc32(file.read_bytes())]
    (store / "manifest.json").write_text(json.dumps(manifest))
    message = error_of(read_sequences, store)
    assert "event 1 in frames 0..7" in message and str(store) in message


def test_a_users_skeleton_travels_with_the_store(tmp_path):
    rod = Skeleton("rod", ("a", "b"), ((0, 1),), pairs=((0, 1),), chains={"all": (0, 1)}, zaxis=(0, 1))
    clips = [replace(one, joints=one.joints[:, :2], confidence=one.confidence[:, :2]) for one in three()]
    write_sequences(build(clips, skeleton=rod), tmp_path / "poses")
    assert read_sequences(tmp_path / "poses").skeleton == rod


def test_an_output_made_from_other_inputs_is_refused(store, tmp_path):
    check(store)
    write_sequences(build(three()), tmp_path / "source")
    derived = open_partial(tmp_path / "derived", {})
    (derived / "file").write_text("x")
    finish(derived, tmp_path / "derived", {"poses": tmp_path / "source"})
    check(tmp_path / "derived", {"poses": tmp_path / "source"})
    write_sequences(build([*three()[:-1], replace(three()[-1], fps=31.0)]), tmp_path / "source")
    message = error_of(check, tmp_path / "derived", {"poses": tmp_path / "source"})
    assert "made from other poses" in message and "Run its stage again" in message


def test_a_partial_output_is_kept_for_the_same_fingerprint_only(tmp_path):
    partial = open_partial(tmp_path / "output", {"a": 1})
    (partial / "half").touch()
    assert (open_partial(tmp_path / "output", {"a": 1}) / "half").exists()
    assert not (open_partial(tmp_path / "output", {"a": 2}) / "half").exists()
    (partial / "whole").touch()
    finish(partial, tmp_path / "output")
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
