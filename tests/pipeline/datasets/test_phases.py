import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import phases_from_events
from pipeline.config import InputError
from pipeline.datasets.phases import read_phases

FRAMES = "sequence,frame,phase\n"
RUNS = "sequence,start,end,phase\n"


def read(tmp_path, text, **settings):
    path = tmp_path / "phases.csv"
    path.write_text(text)
    return read_phases(path, **settings)


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=4))
def test_the_events_give_the_phases_back(tmp_path_factory, table):
    """Per frame and per run alike, whichever phases are left out."""
    tmp_path = tmp_path_factory.mktemp("csv")
    table = [sorted(phases) for phases in table]
    frames = [f"s{n},{t},{phase}\n" for n, phases in enumerate(table) for t, phase in enumerate(phases)]
    runs = []
    for n, phases in enumerate(table):
        for phase in sorted(set(phases)):
            start = phases.index(phase)
            runs.append(f"s{n},{start},{start + phases.count(phase) - 1},{phase}\n")
    per_frame = read(tmp_path, FRAMES + "".join(frames))
    per_run = read(tmp_path, RUNS + "".join(runs))
    for n, phases in enumerate(table):
        row = per_frame[f"s{n}"]
        assert phases_from_events(row.events, len(phases)).tolist() == phases
        assert row.num_frames == len(phases)
        assert (per_run[f"s{n}"].events, per_run[f"s{n}"].num_frames) == (row.events, row.num_frames)


def test_names_in_the_order_given(tmp_path):
    text = "clip,kind,who,split,start,end,phase\na,squat,p1,val,0,9,down\na,squat,p1,val,10,10.0,bottom\nb,squat,p2,,0,4,up\n"
    settings = {"sequence_column": "clip", "action_column": "kind", "group_column": "who"}
    rows = read(tmp_path, text, phase_names=["down", "bottom", "up"], **settings)
    assert {name: row.events for name, row in rows.items()} == {"a": (10, -1), "b": (-1, 0)}
    assert rows["a"].event_names == ("bottom", "up")
    assert [(row.action, row.group, row.split) for row in rows.values()] == [
        ("squat", "p1", "val"),
        ("squat", "p2", None),
    ]


def test_an_action_has_its_own_number_of_phases(tmp_path):
    text = "sequence,action,start,end,phase\na,squat,0,1,0\na,squat,2,3,1\nb,bow,0,1,0\nb,bow,2,3,1\nb,bow,4,5,2\n"
    rows = read(tmp_path, text, action_column="action")
    assert rows["a"].event_names == ("phase_1",) and rows["b"].event_names == ("phase_1", "phase_2")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (FRAMES + "a,0,0\na,1,1\na,2,0\n", ["line 4", "in order", "'0'"]),
        (FRAMES + "a,0,0\na,2,1\n", ["line 3", "frame 1 of 'a'"]),
        (FRAMES + "a,1,0\n", ["line 2", "frame 0 of 'a'"]),
        (FRAMES + "a,0,0\na,0,0\n", ["line 3", "frame 1 of 'a'"]),
        (FRAMES + "a,0,\n", ["line 2", "'phase'"]),
        (FRAMES + "a,,0\n", ["line 2", "'frame'"]),
        (FRAMES + "a,0,1.5\n", ["line 2", "'1.5'"]),
        (FRAMES + "a,0\n", ["line 2", "3 cells"]),
        (RUNS + "a,0,9,0\na,9,20,1\n", ["line 3", "frame 10 of 'a'"]),
        (RUNS + "a,5,4,0\n", ["line 2", "end 4"]),
        ("sequence,start,phase\n", ["'end'", "line 1"]),
        ("video,frame,phase\n", ["'sequence'", "line 1"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_file_and_line(tmp_path, text, parts):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message and str(tmp_path / "phases.csv") in message
    for part in parts:
        assert part in message


def test_an_unknown_name(tmp_path):
    with pytest.raises(InputError, match=r"\['down', 'up'\], but got 'Up' in .*line 3"):
        read(tmp_path, RUNS + "a,0,1,down\na,2,3,Up\n", phase_names=["down", "up"])
