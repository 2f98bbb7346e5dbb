"""`la2ds table` on four small videos: networks trained once, poses made worse, rows that cannot be left out."""

import csv
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from filelock import FileLock
from scipy.io import savemat
from typer.testing import CliRunner

from commands.cli import app

SMALL = {"width": 16, "heads": 1, "head_width": 16, "mlp_width": 16, "spatial_depth": 1, "temporal_depth": 1}
PARAMS = {
    "datasets": {
        "penn": {
            "preset": "tiny",
            "inputs": [["pose2d"]],
            "methods": {},
            "source": {"reader": "penn_action", "root": "penn", "events": "events.csv"},
        }
    },
    "project": {},
    "render": {},
    "frames": {},
    "presets": {
        "tiny": {"epochs": 1, "passes_per_epoch": 1, "batch_size": 2, "device": "cpu", "model": {**SMALL, "cross_depth": 1}}
    },
    "fusion": {"tiny": {"epochs": 1, "passes_per_epoch": 1, "batch_size": 2}},
    "methods": {"TCC": {"objective": {"name": "tcc"}, "model": {"cross_attention": False}}},
    "tables": {
        "main": {"rows": {"la2ds": [["pose2d"], ["rgb"]], "TCC": [["pose2d"]]}},
        "three": {"rows": {"TCC": [["pose3d"]]}},
        "empty": {"rows": {}},
        "grids": {"rows": {"TCC": [["joints2d"]]}},
        "missing": {"rows": {"la2ds": [["pose2d"]]}, "shown": {"p0": {}, "p100": {"missing": 1.0}}},
        "noisy": {
            "rows": {"la2ds": [["pose2d"]]},
            "trained": {"clean": {}, "noisy": {"noise": 0.1}},
            "shown": {"clean": {}, "noisy": {"noise": 0.1}},
        },
    },
    "evaluate": {"bootstrap_resamples": 9},
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Four people who squat, read, projected and rendered."""
    root = tmp_path_factory.mktemp("project")
    labels = root / "penn/labels"
    labels.mkdir(parents=True)
    rows = ["action,video_id,event1"]
    for number in range(1, 6):
        rng, frames = np.random.default_rng(number), 14 + number
        x, y = (rng.uniform(20, 100, (1, 13)) + rng.normal(0, 1, (frames, 13)) for _ in range(2))
        y[:, :9] += 30 * np.sin(np.linspace(0, np.pi, frames))[:, None]
        content = {
            "action": "squat", "x": x, "y": y, "visibility": np.ones((frames, 13)), "train": 1 if number <= 2 else -1,
            "nframes": frames, "dimensions": [200, 200, frames],
        }  # fmt: skip
        savemat(labels / f"{number:04d}.mat", content)
        rows.append(f"squat,{number:04d},{frames // 2}")
    (root / "penn/events.csv").write_text("\n".join(rows) + "\n")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    return root


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.chdir(project)

    def call(*arguments, expected=0):
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == expected, result.output
        return result.output

    if not Path("data/frames").exists():
        for stage in ("extract", "project", "render", "frames"):
            call(stage, "penn")
    return call


def test_pictures_that_were_never_asked_for_are_left_out_and_named(run):
    cut, aside = Path("data/frames/penn"), Path("data/frames/aside")
    cut.rename(aside)
    try:
        assert "left out, as no pictures were cut" in run("table", "main", "--dataset", "penn")
    finally:
        aside.rename(cut)


def test_pictures_that_were_asked_for_and_never_cut_are_an_error(run):
    asking = yaml.safe_load(yaml.safe_dump(PARAMS))
    asking["datasets"]["penn"]["inputs"] = [["pose2d"], ["rgb"]]
    Path("asking.yaml").write_text(yaml.safe_dump(asking))
    told = run("table", "main", "--dataset", "penn", "--params", "asking.yaml", expected=1)
    assert "data/frames/penn was made without. Run the stage frames again." in told


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_table_of_methods_with_its_controls(run):
    text = run("table", "main", "--dataset", "penn", "--seeds", "0,1")
    assert "| TCC |" in text and "| untrained TCC |" in text and "time only" in text and "DTW of raw poses" in text
    assert (
        "left out, as no pictures were cut (add [rgb] to `inputs` of the data set and run `dvc repro`): LA2DS on rgb"
        in text
    )
    rows = rows_of(Path("data/tables/penn-main/main.csv"))
    assert {"la2ds", "TCC", "untrained", "untrained TCC", "time_only", "raw_pose", "dtw", "soft_dtw", "majority"} == {
        r["method"] for r in rows
    }
    assert all(row["std_over_seeds"] for row in rows if row["method"] in ("la2ds", "TCC"))
    runs = {path.name for path in Path("data/runs").iterdir() if path.is_dir()}
    assert len(runs) == 4  # two methods, two seeds
    run("table", "main", "--dataset", "penn")
    assert {path.name for path in Path("data/runs").iterdir() if path.is_dir()} == runs


def test_poses_are_made_worse_when_shown_and_when_trained_on(run):
    run("table", "missing", "--dataset", "penn")
    facts = json.loads(Path("data/tables/penn-missing/missing.json").read_text())
    value = {
        (row["method"], row["condition"]): row["value"]
        for row in facts["rows"]
        if row["metric"] == "progression" and row["variant"] == "plain"
    }
    assert value["time_only", "p0"] == value["time_only", "p100"]
    assert value["raw_pose", "p0"] != value["raw_pose", "p100"]
    text = Path("data/tables/penn-missing/missing.md").read_text()
    assert "- poses shown in p100: each frame lacks a limb, on hands a finger, with probability 1\n" in text
    text = run("table", "noisy", "--dataset", "penn")
    assert "| system | clean_clean | clean_noisy | noisy_clean | noisy_noisy |" in text
    networks = {
        path.parts[-5]: path.read_bytes()
        for path in Path("data/table_parts/penn-noisy").glob("trained_*/models/*/*/seed_0.safetensors")
    }
    assert networks["trained_clean"] != networks["trained_noisy"]
    assert not (Path("data/table_parts/penn-noisy") / "poses_0_0_0").exists()  # what is clean is the data set's own


def test_a_table_that_another_process_writes_is_trained_for_and_then_waited_for(run):
    run("table", "main", "--dataset", "penn", "--seeds", "4")
    lock, runs, table = (
        Path("data/table_parts/penn-main.lock"),
        Path("data/runs"),
        Path("data/tables/penn-main/main.json"),
    )
    before = {path for path in runs.iterdir() if path.is_dir()}

    def new():
        return {path for path in runs.iterdir() if path.is_dir() and not path.suffix} - before

    with FileLock(lock):
        other = threading.Thread(target=run, args=("table", "main", "--dataset", "penn", "--seeds", "5"))
        other.start()
        until = time.monotonic() + 60
        while time.monotonic() < until and len(new()) < 2:
            time.sleep(0.05)
        assert len(new()) == 2
        other.join(3)  # scoring four videos takes less
        assert other.is_alive()
        assert json.loads(table.read_text())["seeds"] == [4]
    other.join()
    assert json.loads(table.read_text())["seeds"] == [5]


@pytest.mark.parametrize(
    "arguments, part",
    [
        (
            ("nobody", "--dataset", "penn"),
            "Expected a table of ['empty', 'grids', 'main', 'missing', 'noisy', 'three', 'pose_sources'], but got 'nobody'",
        ),
        (("main", "--dataset", "nobody"), "datasets.nobody"),
        (("pose_sources", "--dataset", "penn"), "on the same videos as 'penn'"),
        (("three", "--dataset", "penn"), "there are no 3D poses"),
        (("empty", "--dataset", "penn"), "tables.empty.rows is wrong"),
        (("grids", "--dataset", "penn"), "squat TCC_joints2d seed 0: Expected frames that are grids"),
        (("main", "--dataset", "penn", "--seeds", "a"), "--seeds"),
        (("main", "--dataset", "penn", "--seeds", ""), "different seeds from 0"),
        (("main", "--dataset", "penn", "--seeds", "0,-1"), "different seeds from 0"),
        (("main", "--dataset", "penn", "--preset", "none"), "presets.none"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, part):
    output = run("table", *arguments, expected=1)
    assert part in output and output.count("error: ") == 1


@pytest.mark.parametrize(
    "entry, part",
    [
        ("{table: main, dataset: penn, preset: tiny, seeds: 0,1}", 'Write seeds: "0,1,2".'),
        ("{table: main, dataset: penn, preset: tiny}", "tabulate.many.seeds"),
        ("{table: main, dataset: penn, preset: tiny, seeds: [0, 1]}", "tabulate.many.seeds is wrong"),
        ('{table: main, dataset: penn, preset: tiny, seeds: "0,1", out: here}', "tabulate.many.out"),
    ],
)
def test_an_entry_of_tabulate_is_checked_before_anything_is_trained(run, tmp_path, entry, part):
    params = tmp_path / "params.yaml"
    others = '  2024: {}\n  a.b: {table: nobody, dataset: penn, preset: tiny, seeds: "0"}\n'
    params.write_text(yaml.safe_dump(PARAMS) + f"tabulate:\n  many: {entry}\n{others}")
    arguments = ("table", "nobody", "--dataset", "penn", "--params", str(params))
    output = run(*arguments, "--out", "data/tables/many", expected=1)
    assert part in output and output.count("error: ") == 1
    assert "Expected a table of" in run(*arguments, "--out", "data/tables/a.b", expected=1)
