"""The graph as a user runs it: `dvc repro` in a checkout of its own, on a few small videos."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COPIED = (
    "pipeline",
    "stages",
    "commands",
    "data/raw/studio",
    "dvc.yaml",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    "README.md",
)
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
ENVIRONMENT |= {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@t",
}
CACHED = ("extracted", "poses", "heatmaps", "frames", "models", "fused", "results")

pytestmark = pytest.mark.slow


def run(project: Path, *command: str, expected: int = 0) -> str:
    done = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def make_project(path: Path) -> Path:
    for name in COPIED:
        source, target = ROOT / name, path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    ignored = [f"/data/{name}" for name in (*CACHED, "runs", "timings", "reports/report.html")]
    (path / ".gitignore").write_text("\n".join([*ignored, "*.partial", "__pycache__", ""]))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    studio = params["datasets"]["studio"]
    studio["source"] |= {"train_videos": 4, "val_videos": 3, "actions": ["squat", "jumping_jack"]}
    other = {**studio, "inputs": [["pose2d"]], "source": {**studio["source"], "actions": ["squat"], "seed": 1}}
    params["datasets"] = {"studio": studio, "other": other}
    small = {"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "temporal_depth": 1, "cross_depth": 1}
    params["presets"]["studio"] |= {"epochs": 3, "passes_per_epoch": 2, "milestones": [2]}
    params["presets"]["studio"]["model"] |= small
    params["presets"]["studio"]["modalities"]["rgb"] |= {"epochs": 2, "passes_per_epoch": 1}
    params["fusion"]["studio"] |= {"epochs": 2, "passes_per_epoch": 1}
    params["frames"]["size_px"] = 48
    params["evaluate"]["bootstrap_resamples"] = 50
    write_params(path, params)
    run(path, "git", "init", "-q")
    run(path, "git", "add", ".")
    run(path, "git", "commit", "-qm", "start")
    return path


def read_params(project: Path) -> dict:
    return yaml.safe_load((project / "params.yaml").read_text())


def write_params(project: Path, params: dict) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def hashes(project: Path) -> dict[str, str]:
    """Hash of every cached output, by path."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return {
        out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"] if out["path"] != "data/reports"
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose graph has run once, committed."""
    path = make_project(tmp_path_factory.mktemp("project"))
    run(path, "dvc", "repro")
    run(path, "git", "add", ".")
    run(path, "git", "commit", "-qm", "ran")
    return path


def ran(output: str) -> set[str]:
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


LATER = {f"{stage}@{name}" for stage in ("render", "train", "fuse", "evaluate") for name in ("studio", "other")}


def test_the_long_table_is_complete(project):
    with (project / "data/reports/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "dataset",
        "action",
        "method",
        "input",
        "poses",
        "metric",
        "variant",
        "seed",
        "value",
        "low",
        "high",
    ]
    controls = {("time_only", "time"), ("raw_pose", "pose2d"), ("majority", "none")}
    controls |= {("dtw", "pose2d"), ("soft_dtw", "pose2d")}
    own = {(method, seen) for method in ("la2ds", "untrained") for seen in ("pose2d", "rgb", "pose2d+rgb")}
    for name, systems in (
        ("studio", own | controls | {("raw_rgb", "rgb")}),
        ("other", {("la2ds", "pose2d"), ("untrained", "pose2d")} | controls),
    ):
        assert {(row["method"], row["input"]) for row in rows if row["dataset"] == name} == systems
    assert {row["variant"] for row in rows} == {"plain", "clock_broken"}
    metrics = {
        "acc_10",
        "acc_50",
        "acc_100",
        "progression",
        "tau",
        "ap_5",
        "ap_10",
        "ap_15",
        "event_error",
        "event_within_5",
    }
    assert {row["metric"] for row in rows if row["method"] == "la2ds"} == metrics
    assert {row["metric"] for row in rows if row["method"] == "majority"} == {"acc_10", "acc_50", "acc_100"}
    assert {(row["dataset"], row["action"]) for row in rows} == {
        ("studio", "squat"), ("studio", "jumping_jack"), ("studio", "mean"), ("other", "squat"),
    }  # fmt: skip
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows if row["metric"] == "tau")


def test_the_report_names_controls_and_says_synthetic(project):
    report = (project / "data/reports/report.md").read_text()
    for text in (
        "Synthetic people",
        "time only",
        "raw pose",
        "untrained",
        "majority",
        "clock-broken",
        "figures/studio.png",
        "LA2DS (pose2d) |",
        "LA2DS (rgb) |",
        "LA2DS (pose2d+rgb) |",
        "What fusion adds (mean)",
        "raw picture",
        "figures/studio_loss.png",
    ):
        assert text in report
    assert (project / "data/reports/figures/studio.png").stat().st_size > 10_000
    page = (project / "data/reports/report.html").read_text()
    assert "What fusion adds (mean)" in page and ">not run here<" not in page
    metrics = json.loads((project / "data/reports/metrics/other.json").read_text())
    assert set(metrics["squat"]["la2ds"]["plain"]["acc_100"]) == {"value", "low", "high"}


def test_nothing_runs_twice_and_a_comment_in_the_readme_runs_nothing(project):
    assert ran(run(project, "dvc", "repro")) == set()
    readme = (project / "README.md").read_text()
    (project / "README.md").write_text(readme + "<!-- a comment -->\n")
    assert ran(run(project, "dvc", "repro")) == set()
    (project / "README.md").write_text(readme)


def test_a_changed_data_set_runs_alone(project):
    before = read_params(project)
    params = read_params(project)
    params["datasets"]["other"]["source"]["train_videos"] = 5
    write_params(project, params)
    assert ran(run(project, "dvc", "repro")) == {"extract@other", "project@other", "frames@other", "report"} | {
        s for s in LATER if s.endswith("@other")
    }
    write_params(project, before)
    run(project, "dvc", "repro")


def test_a_committed_change_runs_what_reads_it_and_shows_in_the_diffs(project):
    before = read_params(project)
    params = read_params(project)
    params["render"]["sigma_px"] = 0.8
    write_params(project, params)
    assert ran(run(project, "dvc", "repro")) == LATER | {"report"}
    run(project, "git", "commit", "-qam", "wider")
    changes = json.loads(run(project, "dvc", "metrics", "diff", "HEAD~1", "--json"))
    changed = {key for keys in changes.values() for key in keys}
    assert any(".la2ds." in key for key in changed) and not any(".time_only." in key for key in changed)
    run(project, "dvc", "plots", "diff", "HEAD~1", "--out", "plots_html")
    page = (project / "plots_html/index.html").read_text()
    for title in ("Training loss, one line a seed", "studio: squat, pose2d+rgb", "other, squat, plain: event error"):
        assert title in page
    assert "HEAD~1" in page
    write_params(project, before)
    run(project, "dvc", "repro")
    run(project, "git", "commit", "-qam", "back")


def test_a_changed_fusion_leaves_the_encoders_alone(project):
    before = read_params(project)
    params = read_params(project)
    params["fusion"]["studio"]["learning_rate"] = 0.01
    write_params(project, params)
    assert ran(run(project, "dvc", "repro")) == {"fuse@studio", "fuse@other", "evaluate@studio", "report"}
    write_params(project, before)
    run(project, "dvc", "repro")


def test_killed_in_training_it_goes_on_and_ends_in_the_same_bytes(project, tmp_path):
    other = make_project(tmp_path / "killed")
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=other,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while not list(other.glob("data/runs/*.partial/checkpoints/progress.json")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = list(other.glob("data/runs/*.partial"))
    assert kept
    run(other, "dvc", "repro")
    assert hashes(other) == hashes(project)
    assert not list(other.glob("data/**/*.partial"))


@pytest.mark.parametrize(
    "key, value, named",
    [
        ("render.sigma", 1, "render.sigma"),
        ("project.frame_px", 0, "project.frame_px"),
        ("datasets.studio.source.noise", 1, "noise"),
        ("datasets.studio.source.reader", "nobody", "nobody"),
        ("presets.studio.model.depth", 3, "presets.studio.model.depth"),
        ("evaluate.k", 3, "evaluate.k"),
        ("extra", 3, "extra"),
    ],
)
def test_a_wrong_key_is_one_line_that_names_file_and_place(project, tmp_path, key, value, named):
    params = read_params(project)
    node = params
    *path, last = key.split(".")
    for part in path:
        node = node[part]
    node[last] = value
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(params))
    readers = {"render": "render", "presets": "train", "evaluate": "evaluate", "datasets": "extract"}
    stage = readers.get(path[0] if path else "", "project")
    output = run(project, "la2ds", stage, "studio", "--params", str(tmp_path / "wrong.yaml"), expected=1)
    lines = output.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and named in lines[0] and "wrong.yaml" in lines[0]


def test_a_truncated_store_is_one_line_and_keeps_what_was_computed(project):
    shard = max((project / "data/heatmaps/other").rglob("c/*/*/*/*"), key=lambda path: path.stat().st_size)
    content = shard.read_bytes()
    shard.chmod(0o644)
    shard.unlink()  # DVC may have linked it to its cache
    shard.write_bytes(content[:-10])
    output = run(project, "la2ds", "train", "other", expected=1).strip()
    assert len(output.splitlines()) == 1 and str(shard.relative_to(project)) in output and "truncated" in output
    assert (project / "data/models/other/loss.csv").is_file()
    shard.write_bytes(content)


@pytest.mark.parametrize("stage", ["project", "render", "frames", "train", "fuse", "evaluate", "report"])
def test_every_stage_tells_what_it_does(stage):
    output = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--params" in output.stdout
