from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import InputError
from pipeline.datasets.events import EventRow, check_rows, in_frames, in_step, read_events

HEADER = "action,video,split,n_frames,event1,event2,event3\n"


def read(tmp_path, text, columns=("video",), action="action", **settings):
    path = tmp_path / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_events(path, columns, action, **settings)


def error_of(tmp_path, text, **settings):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, **settings)
    message = str(caught.value)
    assert "\n" not in message and str(tmp_path / "events.csv") in message
    return message


def test_rows_by_hand(tmp_path):
    rows = read(tmp_path, HEADER + "squat,0001,train,40,10,20,30\nsquat,0002,,,,22,\nsitup,0003,val,30,7,,\n")
    assert list(rows) == ["0001", "0002", "0003"]
    assert [row.events for row in rows.values()] == [(10, 20, 30), (-1, 22, -1), (7,)]
    assert rows["0001"].event_names == ("event1", "event2", "event3") and rows["0003"].event_names == ("event1",)
    assert [row.action for row in rows.values()] == ["squat", "squat", "situp"]
    assert [row.num_frames for row in rows.values()] == [40, None, 30]
    assert [row.split for row in rows.values()] == ["train", None, "val"]
    assert rows["0002"].where.endswith("events.csv, line 3")


@given(st.lists(st.tuples(st.sampled_from("ab"), *[st.none() | st.integers(0, 99)] * 3), min_size=1, max_size=6))
def test_an_action_has_the_events_up_to_its_last_used_column(tmp_path_factory, table):
    text = "kind,clip,first,second,third\n"
    text += "".join(
        f"{kind},{n}," + ",".join("" if cell is None else str(cell) for cell in cells) + "\n"
        for n, (kind, *cells) in enumerate(table)
    )
    columns = ["first", "second", "third"]
    rows = read(tmp_path_factory.mktemp("csv"), text, ["clip"], "kind", event_columns=columns)
    for n, (kind, *cells) in enumerate(table):
        used = 0
        for other, *theirs in table:
            for number, cell in enumerate(theirs, start=1):
                if other == kind and cell is not None:
                    used = max(used, number)
        assert rows[str(n)].events == tuple(-1 if cell is None else cell for cell in cells[:used])
        assert rows[str(n)].event_names == tuple(columns[:used])


def test_the_cells_of_several_columns_name_a_sequence(tmp_path):
    rows = read(tmp_path, "class,file,event1\n6,1.txt,3\n12,1.txt,4\n", ["class", "file"], None)
    assert {name: row.events for name, row in rows.items()} == {"6/1.txt": (3,), "12/1.txt": (4,)}


def test_a_spreadsheets_byte_order_mark_and_line_ends(tmp_path):
    rows = read(tmp_path, b"\xef\xbb\xbfvideo,event1\r\n1,3\r\n", action=None)
    assert rows["1"].events == (3,)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (HEADER + "squat,1,train,40,10,20,30\nsquat,2,train,40,ten,20,30\n", ["line 3", "'ten'", "'event1'"]),
        (HEADER + "squat,1,train,40,10,20.5,30\n", ["line 2", "'20.5'", "'event2'"]),
        (HEADER + "squat,1,train,40,10,-1,30\n", ["line 2", "'-1'", "'event2'"]),
        (HEADER + "squat,1,train,many,10,20,30\n", ["line 2", "'many'", "'n_frames'"]),
        (HEADER + "squat,1,,,1,2,3\nsquat,2,,,1,2,3\nsquat,1,,,1,2,3\n", ["line 4", "'1'", "one row of each"]),
        (HEADER + "squat,1,,,1,2\n", ["line 2", "7 cells"]),
        (HEADER + "squat,1,,,1,2,3,4\n", ["line 2", "7 cells"]),
        ("action,clip,event1\n", ["'video'", "line 1"]),
        ("video,event1\n", ["'action'", "line 1"]),
        ("", ["'video'", "line 1"]),
        ("action,video\n\xff".encode("latin-1"), ["CSV file"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_file_and_line(tmp_path, text, parts):
    message = error_of(tmp_path, text)
    for part in parts:
        assert part in message


def test_a_named_event_column_must_be_there(tmp_path):
    assert "'top'" in error_of(tmp_path, HEADER, event_columns=["event1", "top"])


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"No such file.*nowhere\.csv"):
        read_events(tmp_path / "nowhere.csv")


def test_rows_are_compared_with_the_sequences_found(tmp_path):
    rows = read(tmp_path, "video,n_frames,event1\n1,40,3\n2,,3\n", action=None)
    check_rows(rows, {"1": 40, "2": 9, "3": 5}, tmp_path)
    check_rows(rows, {"1": None, "2": None}, tmp_path)  # how long these are, nobody knows
    with pytest.raises(InputError, match=r"n_frames 41, but got 40 for '1' in .*events\.csv, line 2"):
        check_rows(rows, {"1": 41, "2": 9}, tmp_path)
    with pytest.raises(InputError, match=r"got '2' in .*events\.csv, line 3"):
        check_rows(rows, {"1": 40}, tmp_path)


def row(*events, seconds=None):
    names = tuple(f"event{n}" for n in range(1, 1 + len(events or seconds)))
    return EventRow("squat", events, names, None, None, "labels.csv, line 2", seconds=seconds)


def test_the_group_comes_from_its_column(tmp_path):
    text = "clip,source_group,n_frames,lowest_frame\na,s00,61,36\nb,,54,22\n"
    rows = read(tmp_path, text, ["clip"], None, event_columns=["lowest_frame"], group_column="source_group")
    assert [(row.group, row.events) for row in rows.values()] == [("s00", (36,)), ("", (22,))]
    assert read(tmp_path, text, ["clip"], None)["a"].group == ""
    assert "'performer'" in error_of(tmp_path, text, columns=["clip"], action=None, group_column="performer")


def test_whole_numbers_may_have_a_fraction_of_zero(tmp_path):
    text = HEADER + "squat,1,,40.0,3.0,1e1,\n"
    rows = read(tmp_path, text)
    assert rows["1"].events == (3, 10) and rows["1"].num_frames == 40


@pytest.mark.parametrize("cell", ["nan", "inf", "-0.5", "3.5", "1e999"])
def test_other_numbers_are_no_frames(tmp_path, cell):
    assert repr(cell) in error_of(tmp_path, HEADER + f"squat,1,,,{cell},,\n")


def test_seconds_by_hand():
    times = np.arange(10) / 10  # 0.0, 0.1, ... 0.9
    found = in_frames(row(seconds=(0.0, 0.12, 0.16, -1.0, 0.94)), times)
    assert found.events == (0, 1, 2, -1, 9) and found.seconds is None
    assert in_frames(row(seconds=(0.99,)), times).events == (9,)  # the last frame lasts until 1.0
    assert in_frames(row(3, 5), times) == row(3, 5)
    with pytest.raises(
        InputError, match=r"'event2' in the video, which ends at 0\.900 s, but got 1\.200 s in labels\.csv"
    ):
        in_frames(row(seconds=(0.5, 1.2)), times)


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=30),
    st.lists(st.floats(0, 1), max_size=4),
)
def test_seconds_become_the_first_frame_not_earlier_by_more_than_half_a_frame(steps, shares):
    times = np.cumsum([0, *steps]) / 30.0
    seconds = tuple(share * times[-1] for share in shares)
    half = median(later - earlier for earlier, later in pairwise(times)) / 2
    events = in_frames(replace(row(1), event_names=("e",) * len(seconds), seconds=seconds), times).events
    for second, event in zip(seconds, events, strict=True):
        expected = next(frame for frame, time in enumerate(times) if time >= second - half)
        assert event == expected


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.lists(st.integers(-1, 60), min_size=1, max_size=4),
    st.none() | st.integers(1, 9),
)
def test_events_follow_the_frames_that_were_kept(kept, events, more):
    kept = sorted(kept)
    num_frames = None if more is None else kept[-1] + more
    step = median(later - earlier for earlier, later in pairwise(kept)) if len(kept) > 1 else 1
    if max(events) >= (kept[-1] + step if num_frames is None else num_frames):
        with pytest.raises(InputError, match=rf"up to video frame {kept[-1]}, .* in labels\.csv, line 2"):
            in_step(row(*events), np.array(kept), num_frames)
        return
    expected = [-1 if e < 0 else min([i for i, k in enumerate(kept) if k >= e], default=len(kept) - 1) for e in events]
    assert in_step(row(*events), np.array(kept), num_frames).events == tuple(expected)


def test_frames_that_a_higher_rate_repeats():
    kept = np.repeat(np.arange(5), 3)
    assert in_step(row(2, 4), kept).events == (6, 12)
    assert in_frames(row(seconds=(0.19, 0.45)), kept / 10).events == (6, 12)


def test_events_after_the_last_kept_frame_by_hand():
    kept = np.arange(0, 30, 3)  # of a video of 30 frames, the last of which are 27, 28 and 29
    assert in_step(row(26, 28), kept).events == in_step(row(26, 28), kept, 30).events == (9, 9)
    for num_frames in (None, 30):
        with pytest.raises(InputError, match="got 30"):
            in_step(row(30), kept, num_frames)
    with pytest.raises(InputError, match="got 4"):
        in_step(row(4), np.arange(4))
