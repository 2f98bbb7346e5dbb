import json

import numpy as np
import pytest
from typer.testing import CliRunner

from commands import info
from pipeline.clip import Clip
from pipeline.sequence import from_clips, read_sequences, write_sequences
from pipeline.skeleton import load_skeleton


@pytest.fixture
def project(tmp_path, monkeypatch):
    """`squats` is extracted and projected, `jumps` extracted only; they tell themselves apart by their provenance."""
    monkeypatch.chdir(tmp_path)
    joints, confidence = np.ones((6, 17, 2)), np.ones((6, 17))
    confidence[:3, 4] = 0
    for path in ("poses/squats", "extracted/squats", "extracted/jumps"):
        clips = [
            Clip(f"clip{n}", "squat [low]", "val" if n > 1 else "train", joints, confidence, 25.0, events=(2,))
            for n in range(4)
        ]
        sequences = from_clips(
            clips,
            dataset=path.split("/")[1],
            skeleton=load_skeleton("coco_17"),
            event_names={"squat [low]": ("hips down",)},
            poses="estimated",
            labels="derived",
            left_out={f"bad{n}": "fewer than 4 frames (3)" for n in range(9)},
            provenance={"stage": path},
        )
        write_sequences(sequences, tmp_path / "data" / path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(info.app, [str(argument) for argument in arguments])


def row(output, *start):
    """The cells of the one line that begins so."""
    (line,) = [line for line in output.splitlines() if line.split()[: len(start)] == list(start)]
    return line.split()[len(start) :]


def test_a_person_reads_tables(project):
    result = run("squats")
    assert result.exit_code == 0, result.output
    assert row(result.stdout, "squat", "[low]", "train") == ["2", "12", "6", "0.24", "25", "0.0", "2"]
    assert row(result.stdout, "squat", "[low]", "2") == ["hips", "down:", "4"]
    assert row(result.stdout, "right_ear") == ["50.0", "1.00"]
    assert row(result.stdout, "9") == [
        "fewer",
        "than",
        "4",
        "frames",
        "(3)",
        "bad0,",
        "bad1,",
        "bad2,",
        "bad3,",
        "bad4,",
        "...",
    ]
    assert row(result.stdout, "stage") == ["poses/squats"]
    assert "labels: derived" in result.stdout and "2.9 % of joints missing" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    "store, stage",
    [("squats", "poses/squats"), ("jumps", "extracted/jumps"), ("data/extracted/squats", "extracted/squats")],
)
def test_a_machine_reads_json_of_the_right_store(project, store, stage):
    for name in (store, project / "data" / stage):
        result = run(name, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["provenance"]["stage"] == stage and found["store"].endswith(stage)
        assert found["sequences"] == 4 and len(found["left_out"][0]["names"]) == 9


def test_poses_that_are_older_than_what_was_extracted_are_told(project):
    assert "older" in run("squats").stderr  # the fixture's poses were made from nothing
    extracted = project / "data/extracted/squats"
    write_sequences(read_sequences(extracted), project / "data/poses/squats", {"extracted": extracted})
    assert "older" not in run("squats").stderr


def test_a_wrong_name_gets_the_nearest(project):
    result = run("sqats")
    assert result.exit_code == 1 and result.stdout == ""
    assert "'sqats'" in result.stderr and "squats" in result.stderr and "jumps" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
