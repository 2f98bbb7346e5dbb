"""What readers of single files share: which files, labels in step, split, and what is left out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, distinct, entries, load_each
from pipeline.datasets.files import without_root
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("coco_17")


class ToyConfig(CollectionConfig):
    reader: Literal["toy"] = "toy"


def settings(root, **changes):
    return ToyConfig(**{"root": root, "pattern": r".*\.toy", "action": "wave", "val_fraction": 0.5} | changes)


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def load(entry: Entry) -> Iterator[Clip]:
    if "bad" in entry.name:
        raise InputError(f"Expected a good file, but got another in {entry.path}. Mend it.")
    joints = np.full((10, 17, 2), float(len(entry.name)))
    if "nan" in entry.name:
        joints[3, 4] = np.nan
    yield entry.clip(joints, np.ones((10, 17)), 30)


def build(config, **more):
    clips, left_out = load_each(entries(config), load, SKELETON)
    return collect(config, clips, left_out, dataset="toys", skeleton=SKELETON, poses="estimated", **more)


def test_what_the_path_tells(tmp_path):
    files(tmp_path, "val/squat/p1__a.toy", "val/squat/p2__b.toy", "train/squat/p3__c.toy", "notes.txt")
    pattern = r"(?P<split>train|val)/(?P<action>\w+)/(?P<group>p\d)__(?P<name>.+)\.toy"
    found = build(
        settings(tmp_path, pattern=pattern, action=None, val_fraction=None, action_names={"squat": "sit down"})
    )
    assert found.names == ("c", "a", "b") and found.groups == ("p3", "p1", "p2")
    assert found.splits == ("train", "val", "val") and set(found.actions) == {"sit down"}


def test_folders_are_entries_of_their_own(tmp_path):
    files(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg")
    assert [entry.name for entry in entries(settings(tmp_path, pattern="[ab]"), folders=True)] == ["a", "b"]


def test_one_bad_file_is_named_and_the_rest_goes_on(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy", "bad.toy", "nan.toy")
    found = build(settings(tmp_path, seed=1))
    assert set(found.names) == {"a", "b", "c"} and set(found.left_out) == {"bad", "nan"}
    assert found.left_out["bad"] == "Expected a good file, but got another in bad.toy. Mend it."
    assert "frame 3" in found.left_out["nan"]


@pytest.mark.parametrize("relative", [True, False])
def test_what_is_left_out_tells_no_path_above_the_root(tmp_path, monkeypatch, caplog, relative):
    monkeypatch.chdir(tmp_path)
    files(tmp_path / "toys", "x/a.toy", "y/a.toy", "b.toy", "c.toy", "x/bad.toy")
    root = Path("toys") if relative else tmp_path / "toys"
    found = build(settings(root))
    assert set(found.left_out) == {"y/a.toy", "bad"} and "toys" not in str(found.left_out)
    assert "but x/a.toy is it already" in found.left_out["y/a.toy"]
    assert f"another in {root}/x/bad.toy" in caplog.text  # what is logged here is for whoever runs it
    whole = without_root(root, f"in {tmp_path}/toys/b.toy and my/toys/b.toy")  # as a cluster's workers name it
    assert whole == "in b.toy and my/toys/b.toy"


def test_all_bad_is_an_error_that_tells_the_first(tmp_path):
    files(tmp_path, "bad1.toy", "bad2.toy")
    with pytest.raises(InputError, match=r"all 2 .* first, bad1: Expected a good file"):
        build(settings(tmp_path))


def test_two_files_of_one_name(tmp_path):
    files(tmp_path, "x/a.toy", "y/a.toy", "y/b.toy")
    found, left_out = distinct(entries(settings(tmp_path)))
    assert [entry.path for entry in found] == [tmp_path / "x/a.toy", tmp_path / "y/b.toy"]
    assert list(left_out) == [str(tmp_path / "y/a.toy")] and "(?P<name>...)" in left_out[str(tmp_path / "y/a.toy")]
    by_path = settings(tmp_path, pattern=r"(?P<name>.*)\.toy")
    assert distinct(entries(by_path))[1] == {}


def test_labels_tell_group_and_action(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abcd"))
    (tmp_path / "events.csv").write_text("clip,who,what,top\na,p1,push,3\nb,p1,push,4\nc,p2,push,5\nd,p3,pull,6\n")
    events = {"path": "events.csv", "sequence": ["clip"], "action": "what", "group": "who", "columns": ["top"]}
    config = settings(tmp_path, events=events, actions=["push"], val_groups=["p1"], val_fraction=None)
    found = build(config)
    assert found.names == ("a", "b", "c") and found.splits == ("val", "val", "train") and found.labels == "derived"
    assert found.events[:, 0].tolist() == [3, 4, 5] and found.event_names == {"push": ("top",)}


def test_labels_tell_the_split(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abcd"))
    text = "sequence,part,top\na,val,3\nb,train,4\nc,val,5\nd,train,6\n"
    (tmp_path / "events.csv").write_text(text)
    events = {"path": "events.csv", "columns": ["top"], "split": "part"}
    found = build(settings(tmp_path, events=events, val_fraction=None, labels="exact"))
    assert found.splits == ("val", "train", "val", "train") and found.labels == "exact"
    (tmp_path / "events.csv").write_text(text.replace("d,train", "d,"))
    with pytest.raises(InputError, match=r"split.*''.*'d'"):
        build(settings(tmp_path, events=events, val_fraction=None))


def test_rows_of_actions_that_are_not_wanted_need_no_sequence(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abc"))
    (tmp_path / "events.csv").write_text("sequence,what,top\na,push,3\nb,push,4\nc,push,5\nelsewhere,pull,6\n")
    events = {"path": "events.csv", "action": "what", "columns": ["top"]}
    assert len(build(settings(tmp_path, events=events, actions=["push"]))) == 3
    with pytest.raises(InputError, match="elsewhere"):
        build(settings(tmp_path, events=events))


def test_labels_stay_in_step_with_resampled_videos(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abc"))
    (tmp_path / "events.csv").write_text("sequence,n_frames,event1,event2\na,30,7,28\nb,30,9,\nc,30,0,27\n")

    def every_third(entry):
        yield entry.clip(np.ones((10, 17, 2)), np.ones((10, 17)), 10, video_frames=np.arange(0, 30, 3))

    def labelled(config, clips):
        frames = dict.fromkeys("abc", 30)
        return collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="estimated", num_frames=frames)

    config = settings(tmp_path, events={"path": "events.csv"})
    clips, _ = load_each(entries(config), every_third, SKELETON)
    found = labelled(config, clips)
    by_name = dict(zip(found.names, found.events.tolist(), strict=True))
    assert by_name == {
        "a": [3, 9],
        "b": [3, -1],
        "c": [0, 9],
    }  # the first kept frame at or after 7; 9; 0, 27; 28 has none
    (tmp_path / "events.csv").write_text("sequence,n_frames,event1,event2\na,30,7,30\nb,30,9,\nc,30,0,27\n")
    with pytest.raises(InputError, match="30"):
        labelled(config, clips)


@pytest.mark.parametrize("events", [(4, 5), (28, 29)])
def test_events_that_fall_on_one_frame_leave_their_sequence_out(tmp_path, events, caplog):
    files(tmp_path, *(f"{name}.toy" for name in "abcd"))
    text = "sequence,event1,event2,event3\na,7,,25\nb,9,,20\nc,0,9,\n"
    config = settings(tmp_path, events={"path": "events.csv"})
    clips = [
        entry.clip(np.ones((10, 17, 2)), np.ones((10, 17)), 2.5, video_frames=np.arange(0, 30, 3))
        for entry in entries(config)
    ]

    def labelled(d):
        (tmp_path / "events.csv").write_text(text + f"d,{d[0]},,{d[1]}\n")
        return collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="estimated")

    found = labelled(events)
    assert set(found.names) == {"a", "b", "c"} and "left out d" in caplog.text
    assert found.left_out == {"d": "events 1 and 3 fall on one frame at 2.5 fps"}
    with pytest.raises(InputError, match="Expected event 3 after frame"):  # as given, they are wrong
        labelled(events[::-1])


def test_a_useless_sequence_takes_no_part_in_the_draw(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abcdefgh"))
    config = settings(tmp_path, val_fraction=0.3)
    clips = [clip for entry in entries(config) for clip in load(entry)]
    nobody, short = (np.zeros((10, 17, 2)), np.zeros((10, 17))), (np.ones((3, 17, 2)), np.ones((3, 17)))

    def split(clips):
        found = collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="estimated")
        return dict(zip(found.names, found.splits, strict=True)), found.left_out

    alone, _ = split(clips)
    for name in ("0", "aa", "z"):
        for joints, confidence in (nobody, short):
            useless = Clip(name, "wave", "train", joints, confidence, 30)
            found, left_out = split(sorted([*clips, useless], key=lambda clip: clip.name))
            assert found == alone and set(left_out) == {name}
    events = replace(clips[0], events=(3,))
    with pytest.raises(InputError, match="Expected 0 key events, but got 1"):
        split([events, *clips[1:]])


def test_rows_that_are_a_part_of_a_video_of_unknown_length(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abc"))
    config = settings(tmp_path, events={"path": "events.csv"})

    def labelled(num_frames, **changes):
        rows = "".join(f"{name},{num_frames},8\n" for name in "abc")
        (tmp_path / "events.csv").write_text("sequence,n_frames,event1\n" + rows)
        clips = [replace(clip, **changes) for entry in entries(config) for clip in load(entry)]
        found = collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="estimated")
        return found.events[:, 0].tolist()

    assert labelled(40, video_frames=np.arange(5, 15)) == [3] * 3  # 25 frames after the last row: nobody knows
    assert labelled(40, video_frames=np.arange(0, 30, 3)) == [3] * 3
    for whole in ({}, {"video_frames": np.arange(10)}):
        assert labelled(10, **whole) == [8] * 3
        with pytest.raises(InputError, match="n_frames 10, but got 40"):
            labelled(40, **whole)


def test_events_that_the_clips_carry(tmp_path):
    files(tmp_path, *(f"{name}.toy" for name in "abc"))
    config = settings(tmp_path, labels="human")
    clips = [replace(clip, events=(2, -1)) for entry in entries(config) for clip in load(entry)]
    names = {"wave": ("up", "down"), "jump": ("off",)}

    def labelled(config):
        return collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="motion_capture", event_names=names)

    found = labelled(config)
    assert found.events.tolist() == [[2, -1]] * 3 and found.labels == "human"
    assert found.event_names == {"wave": ("up", "down")}
    (tmp_path / "events.csv").write_text("sequence,event1\na,3\nb,4\nc,5\n")
    found = labelled(settings(tmp_path, events={"path": "events.csv"}))  # the user's own replace them
    assert sorted(found.events[:, 0].tolist()) == [3, 4, 5] and found.event_names == {"wave": ("event1",)}


def test_a_row_without_a_sequence_is_an_error_unless_the_file_was_left_out(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy", "bad.toy")
    (tmp_path / "events.csv").write_text("sequence,event1\na,3\nb,3\nc,3\nbad,3\n")
    config = settings(tmp_path, events={"path": "events.csv"})
    assert set(build(config).left_out) == {"bad"}
    (tmp_path / "events.csv").write_text("sequence,event1\na,3\nb,3\nc,3\nd,3\n")
    with pytest.raises(InputError, match=r"'d' in .*line 5"):
        build(config)


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"val_fraction": None}, "give one of val_groups"),
        ({"pattern": r"(?P<split>train|val)/.*"}, "give one of val_groups"),
        ({"action": None}, "give action"),
    ],
)
def test_settings_that_do_not_agree(tmp_path, changes, part):
    with pytest.raises(ValidationError) as caught:
        settings(tmp_path, **changes)
    assert part in caught.value.errors()[0]["msg"]


def test_labels_of_other_formats(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy")
    (tmp_path / "phases.csv").write_text(
        "sequence,start,end,phase\n" + "".join(f"{name},0,3,down\n{name},4,9,up\n" for name in "abc")
    )
    events = {"path": "phases.csv", "format": "phases", "phases": ["down", "up"]}
    found = build(settings(tmp_path, events=events, labels="human"))
    assert found.events.tolist() == [[4]] * 3 and found.event_names == {"wave": ("up",)} and found.labels == "human"


def test_labels_in_seconds_become_frames_at_the_clips_rate(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy")
    rows = "".join(
        f"{name}.mp4\tphase\t{start}\t{label}\n" for name in "abc" for label, start in (("down", 0), ("up", 200))
    )
    (tmp_path / "labels.txt").write_text("File Name\tTier\tBegin Time - msec\tAnnotation\n" + rows)
    events = {"path": "labels.txt", "format": "annotations", "phases": ["down", "up"]}
    found = build(settings(tmp_path, events=events))
    assert found.events.tolist() == [[6]] * 3 and found.event_names == {"wave": ("up",)}  # 0.2 s at 30 frames/s


def test_labels_in_seconds_follow_the_times_of_the_rows(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy")
    rows = "".join(f"{name}.mp4\tphase\t{ms}\t{label}\n" for name in "abc" for label, ms in (("down", 0), ("up", 3500)))
    (tmp_path / "labels.txt").write_text("File Name\tTier\tBegin Time - msec\tAnnotation\n" + rows)
    config = settings(
        tmp_path, events={"path": "labels.txt", "format": "annotations", "phases": ["down", "up"]}, val_fraction=0.6
    )
    times = {
        "a": np.arange(100, 110) / 30,  # begins late: 3.5 s is frame 105
        "b": np.array([0, 0.1, 0.2, 0.3, 0.4, 2.5, 3.4, 3.6, 3.7, 3.8]),
        "c": None,
    }
    clips = [replace(clip, times=times[entry.name]) for entry in entries(config) for clip in load(entry)]
    clips[2] = replace(clips[2], fps=2.0)
    found = collect(config, clips, {}, dataset="toys", skeleton=SKELETON, poses="estimated")
    assert dict(zip(found.names, found.events[:, 0].tolist(), strict=True)) == {"a": 5, "b": 7, "c": 7}


def test_derived_labels_are_not_passed_off_as_human(tmp_path):
    files(tmp_path, "a.toy", "b.toy", "c.toy")
    (tmp_path / "events.csv").write_text("labels,sequence,event1\nderived,a,3\nderived,b,3\nderived,c,3\n")
    assert build(settings(tmp_path, events={"path": "events.csv"})).labels == "derived"
    with pytest.raises(InputError, match="Expected human labels"):
        build(settings(tmp_path, events={"path": "events.csv"}, labels="human"))
