"""From each data set's results to what people read and diff: one long table, metric JSON, plot data, report.md."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import pose_sources
from pipeline.inputs import OWN
from pipeline.markdown import INTRODUCTION, section
from pipeline.plot_data import write_plots
from pipeline.sequence import PoseSequences, read_sequences
from pipeline.showcase import draw_alignment, draw_losses
from pipeline.store import check, write_json
from pipeline.table import read_rows, write_rows

PAPER = Path(__file__).with_name("paper_results.json")
SIDE_RESULTS = ("acc_10_logistic", "acc_50_logistic", "acc_100_logistic", "event_error_ms", "tau_nan_pairs")


@dataclass(frozen=True, eq=False)
class Reported:
    """One data set as reports see it.

    details: its details.json. curves: the rows of both stages' loss.csv. published: the paper's rows on it, if any.
    results: what `evaluate_dataset` wrote.
    """

    name: str
    details: dict
    sequences: PoseSequences
    curves: list[dict[str, str]]
    published: dict | None
    results: Path


def load_reported(
    datasets: dict[str, str | None], poses: Path, results: Path, models: Path, fused: Path
) -> list[Reported]:
    """Read what reports are made from; raises InputError where something is missing or was not made from the rest.

    datasets: names, each with results/<name>, models/<name> and fused/<name> as `evaluate_dataset` and the training stages
    wrote them; and the name under which the paper printed results on it, if it did.
    """
    published = json.loads(PAPER.read_text(encoding="utf-8"))["results"]
    reported = []
    for name, paper_name in datasets.items():
        check(models / name, {"poses": poses / name})
        check(results / name, {"poses": poses / name, "models": models / name, "fused": fused / name})
        details = json.loads((results / name / "details.json").read_text(encoding="utf-8"))
        curves = read_curves(models / name / "loss.csv") + read_curves(fused / name / "loss.csv")
        sequences = read_sequences(poses / name)
        reported.append(Reported(name, details, sequences, curves, published.get(paper_name), results / name))
    return reported


def write_report(reported: Sequence[Reported], path: Path) -> dict:
    """Write results.csv, metrics/*.json, plots/, figures/ and report.md below `path`; returns counts for the summary."""
    rows, sections = [], []
    for folder in ("metrics", "figures"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for each in reported:
        dataset, details, sequences = each.name, each.details, each.sequences
        write_json(path / "metrics" / f"{dataset}.json", metrics_tree(details))
        action, seen = next(iter(details["actions"])), details["systems"][0]
        embeddings = each.results / "embeddings" / action / seen
        draw_alignment(sequences, embeddings, action, path / "figures" / f"{dataset}.png")
        draw_losses(networks_of(each.curves), path / "figures" / f"{dataset}_loss.png")
        sections.append(section(dataset, details, each.published, sequences.provenance))
        rows += read_rows(each.results / "results.csv")
    all_sequences = {each.name: each.sequences for each in reported}
    all_details = {each.name: each.details for each in reported}
    for group in pose_sources.same_videos(all_sequences):
        sections.append(pose_sources.section(group, all_sequences, all_details))
    write_plots(all_details, {each.name: each.curves for each in reported}, path / "plots")
    write_rows(rows, path / "results.csv")
    (path / "report.md").write_text("\n".join([INTRODUCTION, *sections]), encoding="utf-8")
    return {"rows": len(rows), "datasets": len(reported)}


def metrics_tree(details: dict) -> dict:
    """action -> method -> variant -> metric -> value, low, high: what `dvc metrics diff` compares, seeds averaged.

    Metrics beside the headline's (logistic regression, milliseconds, undefined taus) are those of the first seed.
    """
    tree = json.loads(json.dumps(details["scores"]))
    for action, facts in details["actions"].items():
        for name, variants in reversed(facts["methods"].items()):
            for variant, found in variants.items():
                side = {key: found[key] for key in SIDE_RESULTS if key in found}
                if side:
                    tree[action].setdefault(name.split()[0], {}).setdefault(variant, {}).update(side)
    return tree


def read_curves(path: Path) -> list[dict[str, str]]:
    """The rows of a loss.csv that a training stage wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def networks_of(curves: list[dict[str, str]]) -> dict[tuple[str, str, str], list[dict[str, str]]]:
    """(action, input, seed) -> the rows of one network of LA2DS, whose losses are of one kind."""
    networks: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in curves:
        if row["method"] != OWN:
            continue
        networks.setdefault((row["action"], row["input"], f"seed{row['seed']}"), []).append(row)
    return networks
