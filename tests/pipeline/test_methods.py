"""Methods beside LA2DS: one file and one entry; networks that were trained once are not trained again."""

import csv
import json
import re
import threading
import zlib
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.progress import Progress
from scipy import stats

import pipeline.objectives
from pipeline.config import InputError
from pipeline.evaluation import EvaluateConfig
from pipeline.inputs import OWN
from pipeline.method_tables import applicable, write_table
from pipeline.methods import encoders, fused, resolve
from pipeline.objectives.registry import known_objectives
from pipeline.results import ActionEvaluation, evaluate_dataset
from pipeline.table import read_rows
from pipeline.training import TrainConfig
from pipeline.training_runs import fuse_dataset, train_dataset

PRESET = {
    "seeds": [0],
    "epochs": 2,
    "passes_per_epoch": 1,
    "batch_size": 2,
    "device": "cpu",
    "model": {"width": 16, "heads": 1, "head_width": 16, "mlp_width": 16, "spatial_depth": 1, "temporal_depth": 1, "cross_depth": 1},
    "objective": {"name": "regression_matching", "temperature": 1.0, "scale": "literal"},
    "modalities": {"rgb": {"model": {"patch_px": 16}}},
}  # fmt: skip
RUN = {"preset": "tiny", "seeds": [0]}
FUSION = {"epochs": 1, "passes_per_epoch": 1, "batch_size": 2}

README = Path(__file__).parents[2] / "README.md"
TOY = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]


def train(paths, folder, systems, name="models"):
    with Progress(disable=True) as progress:
        return train_dataset(paths, folder / name, folder / "runs", systems, progress)


def made(folder):
    """When each kept network was written."""
    return {
        path.name: (path / "curve.json").stat().st_mtime_ns for path in (folder / "runs").iterdir() if path.is_dir()
    }


def test_a_method_is_what_it_changes_of_the_preset():
    methods = {
        "TCC": {
            "objective": {"name": "tcc", "frames": 8},
            "model": {"cross_attention": False},
            "fusion": {"epochs": 3},
        },
        "sharper": {"objective": {"temperature": 0.1}},
    }
    wanted = {OWN: (("pose2d",),), "TCC": (("pose2d",), ("pose2d", "rgb")), "sharper": (("pose2d",),)}
    own, tcc, both, sharper = resolve(PRESET, methods, wanted, FUSION)
    assert [each.name for each in (own, tcc, both, sharper)] == ["la2ds", "TCC", "TCC_pose2d+rgb", "sharper"]
    assert own.config.objective.temperature == 1.0 and own.config.model.cross_attention
    assert (
        tcc.config.objective.name == "tcc" and tcc.config.objective.frames == 8
    )  # nothing of the old objective is left
    assert not tcc.config.model.cross_attention and tcc.config.model.width == 16
    assert (own.fusion.epochs, both.fusion.epochs) == (1, 3)
    assert (sharper.config.objective.temperature, sharper.config.objective.scale) == (0.1, "literal")
    assert [each.name for each in encoders([own, both])] == ["la2ds", "TCC", "TCC_rgb"] and fused([own, both]) == [both]


def test_a_method_that_would_be_la2ds_under_another_name_is_refused():
    of_joints = {"CASA": {"modalities": {"joints2d": {"model": {"centered": True}}}}, "slow": {"fusion": {"epochs": 3}}}
    for wanted in ({"CASA": (("joints2d",), ("joints2d", "rgb"))}, {"slow": (("pose2d", "rgb"),)}):
        assert len(resolve(PRESET, of_joints, wanted, FUSION)) == len(*wanted.values())
    with pytest.raises(InputError, match=r"'CASA' .* \['joints2d'\], but got \['pose2d'\], where it is LA2DS itself"):
        resolve(PRESET, of_joints, {"CASA": (("joints2d",), ("pose2d",))}, FUSION)
    with pytest.raises(InputError, match=r"'slow' .* several modalities'\], but got \['pose2d'\]"):
        resolve(PRESET, of_joints, {"slow": (("pose2d",),)}, FUSION)


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"objective": {"name": "nobody"}}, "objectives are"),
        ({"objective": {"name": "tcc", "sharpness": 1}}, "sharpness"),
        ({"modle": {}}, "modle"),
        ({"fusion": {"epoch": 1}}, "epoch"),
    ],
)
def test_a_wrong_method_is_named(changes, part):
    with pytest.raises(ValidationError, match=part):
        resolve(PRESET, {"mine": changes}, {"mine": (("pose2d",),)}, FUSION)
    with pytest.raises(InputError, match=r"got 'other'\. Correct the name, or add it"):
        resolve(PRESET, {"mine": changes}, {"other": (("pose2d",),)})


def test_the_readmes_objective_is_one_file_and_one_entry_and_a_row_of_every_table(paths, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(TOY)
    monkeypatch.setattr(pipeline.objectives, "__path__", [*pipeline.objectives.__path__, str(tmp_path)])
    monkeypatch.setattr("pipeline.training_runs.code_hash", lambda modules: "")  # the file lies outside of the package
    assert "mine" in known_objectives()
    wanted = {OWN: (("pose2d",), ("pose2d", "rgb")), "Mine": (("pose2d",), ("pose2d", "rgb"))}
    systems = resolve(PRESET, {"Mine": {"objective": {"name": "mine", "weight": 2.0}}}, wanted, FUSION)
    train(paths, tmp_path, systems)
    models, joint, results = (tmp_path / name for name in ("models", "fused", "results"))
    with Progress(disable=True) as progress:
        fuse_dataset(paths, models, joint, tmp_path / "runs", fused(systems), progress)
        evaluate_dataset(paths, models, joint, results, EvaluateConfig(bootstrap_resamples=9), wanted, progress)
    with (models / "loss.csv").open() as file:
        curves = {(row["method"], row["input"]): float(row["loss"]) for row in csv.DictReader(file)}
    assert set(curves) == {(method, seen) for method in (OWN, "Mine") for seen in ("pose2d", "rgb")}
    rows = {(row["method"], row["input"]) for row in read_rows(results / "results.csv")}
    assert {
        ("Mine", "pose2d"),
        ("Mine", "pose2d+rgb"),
        (OWN, "pose2d"),
        ("untrained", "pose2d"),
        ("time_only", "time"),
    } <= rows
    assert not any(method.startswith("untrained ") for method, _ in rows)  # one architecture, one control
    notes = json.loads((results / "details.json").read_text(encoding="utf-8"))["notes"]
    assert any("untrained network on pose2d: the network of LA2DS, Mine before training" in note for note in notes)


def test_an_interrupted_evaluation_keeps_what_it_scored_and_ends_in_the_same_bytes(paths, tmp_path, monkeypatch):
    wanted = {OWN: (("pose2d",),)}
    train(paths, tmp_path, resolve(PRESET, {}, wanted))
    score, scored = ActionEvaluation.score, []

    def interrupted(action, features):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(action.action)
        return score(action, features)

    def run(name):
        with Progress(disable=True) as progress:
            fuse_dataset(paths, tmp_path / "models", tmp_path / "fused", tmp_path / "runs", [], progress)
            evaluate_dataset(
                paths, tmp_path / "models", tmp_path / "fused", tmp_path / name, EvaluateConfig(bootstrap_resamples=9), wanted, progress
            )  # fmt: skip

    with monkeypatch.context() as patched:
        patched.setattr(ActionEvaluation, "score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("resumed")
    calls = []
    monkeypatch.setattr(ActionEvaluation, "score", lambda *given: calls.append(given) or score(*given))
    run("resumed")
    resumed = len(calls)
    run("whole")
    assert len(calls) - resumed == resumed + len(scored)
    files = {file.relative_to(tmp_path / "whole") for file in (tmp_path / "whole").rglob("*") if file.is_file()}
    assert files == {
        file.relative_to(tmp_path / "resumed") for file in (tmp_path / "resumed").rglob("*") if file.is_file()
    }
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes(), file


@pytest.mark.parametrize(
    "old, new, lacks",
    [
        ("class Settings(ObjectiveSettings)", "class Settings", "a class Settings(ObjectiveSettings)"),
        ("class Objective(AlignmentObjective)", "class Objective", "a class Objective(AlignmentObjective)"),
        ("class Objective", "class Loss", "a class Objective(AlignmentObjective)"),
        ('pairs = "two_videos"', "pairs = 2", 'pairs = "augmented" or "two_videos"'),
        ("name: Literal", "title: Literal", 'name: Literal["mine'),
        ("def forward", "def loss", "a method forward(self, a, b)"),
        ("def forward", "def of_videos", "a method of_video(self, view)"),
    ],
)
def test_an_objective_that_is_not_whole_is_told_what_it_lacks(tmp_path, monkeypatch, old, new, lacks):
    name = f"mine_{zlib.crc32(new.encode())}"  # a module is imported once
    text = TOY.replace('"mine"', f'"{name}"').replace(old, new)
    if "of_video" in lacks:
        text = text.replace("AlignmentObjective", "OneVideoObjective")
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(pipeline.objectives, "__path__", [*pipeline.objectives.__path__, str(tmp_path)])
    with pytest.raises(ValidationError, match=re.escape(f"pipeline/objectives/{name}.py needs {lacks}")):
        TrainConfig(objective={"name": name})


def test_networks_are_trained_once_whatever_is_asked_for_later(paths, tmp_path):
    methods = {"literal": {"objective": {"temperature": 0.5}}}
    train(paths, tmp_path, resolve(PRESET, methods, {OWN: (("pose2d",),)}))
    first = made(tmp_path)
    more = resolve({**PRESET, "seeds": [0, 1]}, methods, {OWN: (("pose2d",),), "literal": (("pose2d",),)})
    train(paths, tmp_path, more, "others")
    second = made(tmp_path)
    assert len(first) == 1 and len(second) == 4 and first.items() <= second.items()
    network = "wave/la2ds/seed_0.safetensors"
    assert (tmp_path / "models" / network).read_bytes() == (tmp_path / "others" / network).read_bytes()
    train(paths, tmp_path, resolve({**PRESET, "epochs": 3}, methods, {OWN: (("pose2d",),)}), "longer")
    assert len(made(tmp_path)) == 5
    train(paths, tmp_path, resolve(PRESET, methods, {OWN: (("pose2d",), ("rgb",))}), "pictures")
    assert len(made(tmp_path)) == 6  # poses alone are as they were, whatever else is looked at


def test_two_at_once_share_the_runs_and_end_in_the_same_networks(paths, tmp_path):
    systems = resolve({**PRESET, "seeds": [0, 1, 2]}, {}, {OWN: (("pose2d",),)})
    names = ("one", "two")
    workers = [threading.Thread(target=train, args=(paths, tmp_path, systems, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made(tmp_path)) == 3
    for seed in range(3):
        one, two = (tmp_path / name / f"wave/la2ds/seed_{seed}.safetensors" for name in names)
        assert one.read_bytes() == two.read_bytes()


def test_rows_that_a_data_set_cannot_have_are_left_out_and_named():
    wanted = {OWN: (("pose2d",), ("rgb",)), "Flow": (("flow",),)}
    rows, notes = applicable(wanted, {"poses", "heatmaps"})
    assert rows == {OWN: (("pose2d",),)}
    cause = "no pictures were cut (add [rgb] to `inputs` of the data set and run `dvc repro`)"
    assert notes == [f"left out, as {cause}: LA2DS on rgb, Flow on flow"]


def test_a_table_has_controls_intervals_and_the_papers_numbers_where_the_data_set_is_the_papers(tmp_path):
    def score(value):
        return {"value": value, "low": value - 1, "high": value + 1}

    scores = {
        name: {variant: {"event_error": score(9.0), "acc_100": score(80.0)} for variant in ("plain", "clock_broken")}
        for name in ("la2ds", "without-flip", "time_only")
    }
    scores["la2ds"]["plain"]["event_error"] |= {"std_over_seeds": 0.5}
    details = {
        "dataset": "hands", "poses": "projected", "labels": "human", "notes": [], "minus_own": {}, "scores": {"pour": scores},
        "actions": {"pour": {"train_videos": 27, "val_videos": 11}},
    }  # fmt: skip
    write_table("augmentations", {"": details}, "h2o", RUN, ["a note"], tmp_path)
    text = (tmp_path / "augmentations.md").read_text()
    assert "| LA2DS | 9.0 ± 0.5 [8.0, 10.0] | 9.0 [8.0, 10.0] | 80.0 [79.0, 81.0] | 80.0 [79.0, 81.0] |" in text
    assert "| without-flip, as published | - | - | 67.93 | - |" in text and "time only" in text and "- a note" in text
    write_table("augmentations", {"": details}, "videos", RUN, [], tmp_path)
    assert "as published" not in (tmp_path / "augmentations.md").read_text()
    with (tmp_path / "augmentations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 2 and {row["published"] for row in rows} == {""}


def test_a_note_of_all_actions_stands_once_without_their_names(tmp_path):
    scores = {"time_only": {variant: {} for variant in ("plain", "clock_broken")}}
    counts = {"train_videos": 2, "val_videos": 2}
    details = {
        "dataset": "hands", "poses": "projected", "labels": "human", "minus_own": {}, "actions": {"pour": counts, "cut": counts},
        "scores": {"mean": scores, "pour": scores, "cut": scores},
        "notes": ["cut: seen in both", "pour: in one", "pour: seen in both", "no action's: of the data set"],
    }  # fmt: skip
    write_table("main", {"": details}, None, RUN, ["first"], tmp_path)
    notes = json.loads((tmp_path / "main.json").read_text())["notes"]
    assert notes == ["first", "seen in both", "pour: in one", "no action's: of the data set"]


def test_a_difference_to_la2ds_is_as_uncertain_as_training(tmp_path):
    """By hand: variances 1/3 and 1/3 of three seeds each, (0.98 / 1.96)^2 of 11 videos; Welch's t of their sum."""
    score = {"value": 9.0, "low": 8.0, "high": 10.0, "std_over_seeds": 1.0}
    gap = {"value": 2.0, "low": 1.02, "high": 2.98}
    both = ("plain", "clock_broken")
    details = {
        "dataset": "hands", "poses": "projected", "labels": "human", "notes": [],
        "actions": {"pour": {"train_videos": 27, "val_videos": 11}},
        "scores": {"pour": {name: {variant: {"event_error": score} for variant in both} for name in ("la2ds", "TCC")}},
        "minus_own": {"pour": {"TCC": {variant: {"event_error": gap} for variant in both}}},
    }  # fmt: skip
    parts = [((0.98 / 1.959964) ** 2, 10), (1 / 3, 2), (1 / 3, 2)]
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / sum(variance**2 / of_part for variance, of_part in parts)
    half = stats.t.ppf(0.975, freedom) * total**0.5
    write_table("main", {"": details}, None, RUN | {"seeds": [0, 1, 2]}, [], tmp_path)
    rows = json.loads((tmp_path / "main.json").read_text())["rows"]
    ends = [row["minus_la2ds"] + side * half for row in rows if row["method"] == "TCC" for side in (-1, 1)]
    assert ends == pytest.approx(
        [row[f"minus_la2ds_{end}"] for row in rows if row["method"] == "TCC" for end in ("low", "high")]
    )
    assert not any("minus_la2ds" in row for row in rows if row["method"] == "la2ds")
    told = f"| TCC | - | - | +2.0 [{2 - half:.1f}, {2 + half:.1f}] |"
    text = (tmp_path / "main.md").read_text()
    assert "minus LA2DS [over videos and training seeds]" in text and told in text and half > 1.9
    write_table("main", {"": details}, None, RUN, [], tmp_path)
    text = (tmp_path / "main.md").read_text()
    assert "minus LA2DS [over videos alone]" in text and "| TCC | - | - | +2.0 [1.0, 3.0] |" in text
    del score["std_over_seeds"]  # a method that is trained with one seed, whatever the table's
    write_table("main", {"": details}, None, RUN | {"seeds": [0, 1, 2]}, [], tmp_path)
    assert "| TCC | - | - | +2.0 [1.0, 3.0] |" in (tmp_path / "main.md").read_text()
