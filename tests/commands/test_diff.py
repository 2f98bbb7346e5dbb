"""`la2ds diff` on a small git and dvc repository whose commits hold results in DVC's cache."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
ENVIRONMENT |= {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
VALUES = {"few": [10.0, 10.2], "more": [20.0, 20.2], "one": [20.0]}  # event error of the seeds at each commit

pytestmark = pytest.mark.slow

# A stage that writes what `evaluate` writes, as far as `diff` reads it: event errors as params.yaml says.
STAGE = """
import json, pathlib, numpy as np, yaml
values = yaml.safe_load(open("params.yaml"))["presets"]["values"]
folder = pathlib.Path("data/results/toy")
(folder / "actions").mkdir(parents=True)
(folder / "embeddings/squat/pose2d").mkdir(parents=True)
replicates = np.random.default_rng(0).normal(0, 0.1, 50)
arrays = {f"la2ds/{seed}/{variant}/event_error": np.concatenate([[v, v, v], v + replicates])
          for seed, v in enumerate(values) for variant in ("plain", "clock_broken")}
np.savez(folder / "actions/squat.npz", **arrays)
names = np.array(["train", "a", "b", "c"])
np.savez(folder / "embeddings/squat/pose2d/seed_0.npz", names=names, offsets=np.arange(0, 50, 10), features=np.zeros((40, 2)))
(folder / "details.json").write_text(json.dumps({"actions": {"squat": {"train_videos": 1}}}))
"""
GRAPH = {
    "stages": {
        "evaluate": {
            "foreach": "${datasets}",
            "do": {
                "cmd": "python stage.py",
                "params": ["evaluate", "presets"],
                "deps": ["stage.py"],
                "outs": ["data/results/${key}"],
            },
        }
    }
}


def run(project: Path, *command: str, expected: int = 0) -> tuple[str, str]:
    done = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout, done.stderr


def diff(project: Path, *arguments: str, expected: int = 0) -> tuple[str, str]:
    return run(project, sys.executable, "-m", "commands.cli", "diff", *arguments, expected=expected)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("project")
    run(path, "git", "init", "-q")
    run(path, "dvc", "init", "-q")
    (path / "stage.py").write_text(STAGE)
    (path / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    (path / ".gitignore").write_text("/data/results\n")
    for tag, values in VALUES.items():
        params = {
            "datasets": {"toy": {"preset": "values"}},
            "presets": {"values": values},
            "evaluate": {"bootstrap_resamples": 50, "seed": 0},
        }
        (path / "params.yaml").write_text(yaml.safe_dump(params))
        run(path, "dvc", "repro", "-q")
        run(path, "git", "add", ".")
        run(path, "git", "commit", "-qm", tag)
        run(path, "git", "tag", tag)
    return path


def test_a_loss_is_told_in_markdown_html_and_json_and_fails_the_gate(project, tmp_path):
    files = {kind: tmp_path / f"diff.{kind}" for kind in ("md", "html", "json")}
    options = ["--out", str(files["md"]), "--html", str(files["html"]), "--json", str(files["json"])]
    _, errors = diff(project, "few", "more", *options, "--fail-if-worse", "event_error", expected=3)
    assert "worse: toy squat, la2ds, plain: event error, % of the clip +10.0" in errors
    text = files["md"].read_text()
    assert text.startswith("# few → more: 2 worse\n")
    assert (
        "| event error, % of the clip | LA2DS | plain | 10.1 | 20.1 | +10.0 [9.4, 10.6] | worse |" in text
    )  # t(2) * sqrt(.02)
    assert "| `presets.values` | [10.0, 10.2] | [20.0, 20.2] |" in text
    page = files["html"].read_text()
    assert page.count('<td class="worse">worse</td>') == 2 and "data:image/png;base64," in page and "http" not in page
    rows = json.loads(files["json"].read_text())["rows"]
    assert {(row["before"], row["after"], row["verdict"]) for row in rows} == {(10.1, 20.1, "worse")}


def test_a_gain_passes_and_other_metrics_are_refused(project):
    assert "2 better" in diff(project, "more", "few", "--fail-if-worse", "event_error")[0]
    _, errors = diff(project, "more", "few", "--fail-if-worse", "speed", expected=1)
    assert errors.strip() == ("error: Expected metrics of event_error, but got speed. Correct --fail-if-worse.")


def test_the_working_tree_is_compared_and_equal_results_are_the_same(project):
    assert "one → workspace: 2 same" in diff(project, "one")[0]


def test_without_two_seeds_on_a_side_nothing_is_claimed(project):
    """Both with one seed: the working tree as it stands at `one`, against the same with another score."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"presets": {"values": [40.0]}}))
    run(project, "dvc", "repro", "-q")
    text, errors = diff(project, "one", "--fail-if-worse", "event_error")
    assert "2 cannot tell (one seed)" in text and "(videos only)" in text
    assert "cannot tell (one seed): toy squat" in errors
    run(project, "git", "checkout", "-q", ".")
    run(project, "dvc", "checkout", "-q", "-f")


@pytest.mark.parametrize("revision", ["nowhere", "few"])
def test_what_is_not_there_is_one_line_that_says_what_to_do(project, tmp_path, revision):
    """A revision that git does not know, and one whose results are not in the cache."""
    other = tmp_path / "clone"
    run(tmp_path, "git", "clone", "-q", str(project), str(other))
    shutil.rmtree(other / ".dvc/cache", ignore_errors=True)
    _, errors = diff(other, revision, expected=1)
    assert errors.startswith("error: Expected ") and revision in errors and len(errors.splitlines()) == 1
    assert "dvc pull" in errors
