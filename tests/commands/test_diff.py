"""`la2ds diff` on a small git and dvc repository whose commits hold results in DVC's cache."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from commands.revisions import Revision

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
ENVIRONMENT |= {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# Commit -> what differs there from PRESET: event errors of the seeds, systems, actions, validation videos, or data sets.
PRESET = {"values": [10.0, 10.2], "systems": ["la2ds"], "actions": ["squat"], "videos": ["a", "b", "c"]}
COMMITS = {
    "few": {},
    "more": {"values": [20.0, 20.2]},
    "wide": {"systems": ["la2ds", "la2ds_rgb"], "videos": ["a", "c", "b"]},
    "full": {"actions": ["squat", "jump"], "datasets": ["toy", "spare"]},
    "one": {"values": [20.0]},
}

pytestmark = pytest.mark.slow

# A stage that writes what `evaluate` writes, as far as `diff` reads it: event errors as params.yaml says.
STAGE = """
import json, pathlib, sys, numpy as np, yaml
preset = yaml.safe_load(open("params.yaml"))["presets"]["usual"]
folder = pathlib.Path("data/results", sys.argv[1])
(folder / "actions").mkdir(parents=True)
replicates = np.random.default_rng(0).normal(0, 0.1, 50)
arrays = {f"{system}/{seed}/{variant}/event_error": np.concatenate([[v, v, v], v + replicates])
          for system in preset["systems"] for seed, v in enumerate(preset["values"]) for variant in ("plain", "clock_broken")}
names = np.array(["train_0", "train_1", *preset["videos"]])
offsets = np.cumsum([0, 5, 6, *(10 + ord(video) - ord("a") for video in preset["videos"])])
for action in preset["actions"]:
    np.savez(folder / f"actions/{action}.npz", **arrays)
    (folder / f"embeddings/{action}/la2ds").mkdir(parents=True)
    np.savez(folder / f"embeddings/{action}/la2ds/seed_0.npz", names=names, offsets=offsets)
(folder / "details.json").write_text(json.dumps({"actions": {action: {"train_videos": 2} for action in preset["actions"]}}))
"""
GRAPH = {
    "stages": {
        "evaluate": {
            "foreach": "${datasets}",
            "do": {
                "cmd": "python stage.py ${key}",
                "params": ["evaluate", "presets.${item.preset}"],
                "deps": ["stage.py"],
                "outs": ["data/results/${key}"],
            },
        },
        "report": {"cmd": "true", "params": ["render"]},
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
    for tag, changes in COMMITS.items():
        params = {
            "datasets": {name: {"preset": "usual"} for name in changes.get("datasets", ["toy"])},
            "presets": {"usual": {key: changes.get(key, value) for key, value in PRESET.items()}},
            "evaluate": {"bootstrap_resamples": 50, "seed": 0},
        }
        (path / "params.yaml").write_text(yaml.safe_dump(params) + "render: {sigma_px: 6e-1}\n")
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
    assert "| `presets.usual.values` | [10.0, 10.2] | [20.0, 20.2] |" in text
    assert "Note:" not in text  # videos are paired, params.yaml is what the results were made with
    page = files["html"].read_text()
    assert page.count('<td class="worse">worse</td>') == 2 and "data:image/png;base64," in page and "http" not in page
    rows = json.loads(files["json"].read_text())["rows"]
    assert {(row["before"], row["after"], row["verdict"]) for row in rows} == {(10.1, 20.1, "worse")}


def test_a_gain_passes_and_other_metrics_are_refused(project):
    assert "2 better" in diff(project, "more", "few", "--fail-if-worse", "event_error")[0]
    _, errors = diff(project, "more", "few", "--fail-if-worse", "speed", expected=1)
    assert errors.strip() == ("error: Expected metrics of event_error, but got speed. Correct --fail-if-worse.")


def test_what_is_no_longer_there_fails_the_gate_and_what_is_new_does_not(project):
    gate = ("--fail-if-worse", "event_error")
    _, errors = diff(project, "wide", "few", *gate, expected=3)
    assert "cannot tell (missing): toy squat, la2ds_rgb, plain: event error" in errors
    assert "toy squat, la2ds_rgb, plain" in diff(project, "few", "wide", *gate)[1]
    _, errors = diff(project, "full", "few", *gate, expected=3)
    for what in ("toy jump", "spare squat", "spare jump"):
        assert f"cannot tell (missing): {what}: event error, % of the clip is no longer there" in errors
    assert diff(project, "few", "full", *gate)[1] == ""


def test_only_validation_videos_are_read_and_others_are_not_paired(project, monkeypatch):
    monkeypatch.chdir(project)
    found = {name: Revision(name).results()["toy"].videos for name in ("few", "wide")}
    assert found["few"] == {"squat": (("a", 10), ("b", 11), ("c", 12))}
    assert found["wide"] == {"squat": (("a", 10), ("c", 12), ("b", 11))}
    note = "Note: toy: other validation videos or resamples (squat): intervals there are not paired."
    assert note in diff(project, "few", "wide")[0]


def test_params_that_changed_without_repro_are_told(project):
    params = yaml.safe_load((project / "params.yaml").read_text())
    other = {"usual": params["presets"]["usual"] | {"values": [5.0]}, "unused": 1}
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"presets": other, "render": {"sigma_px": 1}}))
    text = diff(project, "one")[0]
    run(project, "git", "checkout", "-q", ".")
    said = (
        "workspace: params.yaml has changed since `dvc repro` (presets.usual, render): its results are of the old ones."
    )
    assert "2 same" in text and f"Note: {said} Run `dvc repro`." in text and "one: params.yaml" not in text


def test_the_working_tree_is_compared_and_equal_results_are_the_same(project):
    assert "one → workspace: 2 same" in diff(project, "one")[0]


def test_without_two_seeds_on_a_side_nothing_is_claimed(project):
    """Both with one seed: the working tree as it stands at `one`, against the same with another score."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["presets"]["usual"]["values"] = [40.0]
    (project / "params.yaml").write_text(yaml.safe_dump(params))
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
