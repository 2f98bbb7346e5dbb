"""The data that `dvc plots` draws: long CSV files, one for each plot over all data sets; .dvc/plots says how they look."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.inputs import OWN
from pipeline.table import ALL_ACTIONS, VARIANTS, method_and_input
from pipeline.wording import describe, own, systems

# Columns by file. A facet is the title of one panel; rows stand in the order in which they are drawn.
COLUMNS = {
    "loss": ("facet", "seed", "epoch", "loss", "learning_rate"),
    "headline": ("facet", "system", "kind", "value", "low", "high"),
    "confusion": ("facet", "phase", "predicted", "percent", "frames"),
}


def write_plots(details: Mapping[str, dict], curves: Mapping[str, Iterable[dict[str, str]]], path: Path) -> None:
    """Write loss.csv, headline.csv and confusion.csv below `path`.

    details: data set -> details.json, as `evaluate_dataset` wrote it. curves: data set -> rows of loss.csv, of both
    training stages.
    """
    path.mkdir(parents=True, exist_ok=True)
    found = {"loss": _losses(curves), "headline": _headline(details), "confusion": _confusion(details)}
    for name, rows in found.items():
        with (path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS[name])
            table.writerows(rows)


def _losses(curves: Mapping[str, Iterable[dict[str, str]]]) -> Iterable[tuple]:
    """A line a network: a panel for each action and input, in it the seeds."""
    for dataset, rows in curves.items():
        for row in rows:
            of = row["input"] if row["method"] == OWN else f"{row['method']} {row['input']}"
            facet = f"{dataset}: {row['action']}, {of}"
            yield facet, row["seed"], int(row["epoch"]) + 1, row["loss"], row["learning_rate"]


def _headline(details: Mapping[str, dict]) -> Iterable[tuple]:
    """A bar a system: a panel for each headline metric and variant, of the mean over actions; tau without labels."""
    for dataset, facts in details.items():
        actions = list(facts["actions"])
        action = ALL_ACTIONS if len(actions) > 1 else actions[0]
        scores = facts["scores"][action]
        labels, ours = systems(scores), own(scores)
        known = scores[ours[0]]["plain"]
        for metric in [metric for metric in ("event_error", "acc_100") if metric in known] or ["tau"]:
            better = "lower" if metric == "event_error" else "higher"
            for variant in VARIANTS:
                facet = f"{dataset}, {action}, {variant.replace('_', '-')}: {describe(metric)[0]} ({better} is better)"
                for name, label in labels.items():
                    if score := scores[name][variant].get(metric):
                        numbers = (f"{score[key]:.4f}" for key in ("value", "low", "high"))
                        yield facet, label, "trained" if name in ours else "control", *numbers


def _confusion(details: Mapping[str, dict]) -> Iterable[tuple]:
    """A matrix for each action and input: plain videos, all labels, the seeds' frames added up; phases count from 1."""
    for dataset, facts in details.items():
        for action, of_action in facts["actions"].items():
            for name in own(facts["scores"][action]):
                tables = [
                    found["plain"]["confusion"]
                    for method, found in of_action["methods"].items()
                    if method.split(" seed ")[0] == name and "confusion" in found["plain"]
                ]
                method, seen = method_and_input(name)
                facet = f"{dataset}: {action}, {seen if method == OWN else f'{method} {seen}'}"
                for phase, counts in enumerate(zip(*tables, strict=True), 1):
                    frames = [sum(column) for column in zip(*counts, strict=True)]
                    for predicted, count in enumerate(frames, 1):
                        percent = 100 * count / max(sum(frames), 1)
                        yield facet, phase, predicted, f"{percent:.2f}", count
