"""From each data set's results to what people read and diff: one long table, metric JSON, plot data, report.md."""

import csv
import json
from pathlib import Path

from pipeline import pose_sources
from pipeline.markdown import INTRODUCTION, section
from pipeline.plot_data import write_plots
from pipeline.sequence import read_sequences
from pipeline.showcase import draw_alignment, draw_losses
from pipeline.store import check, write_json
from pipeline.table import read_rows, write_rows

PAPER = Path(__file__).with_name("paper_results.json")
SIDE_RESULTS = ("acc_10_logistic", "acc_50_logistic", "acc_100_logistic", "event_error_ms", "tau_nan_pairs")


def write_report(
    datasets: dict[str, str | None], poses: Path, results: Path, models: Path, fused: Path, path: Path
) -> dict:
    """Write results.csv, metrics/*.json, plots/, figures/ and report.md below `path`; returns counts for the summary.

    datasets: names, each with results/<name>, models/<name> and fused/<name> as `evaluate_dataset` and the training stages
    wrote them; and the name under which the paper printed results on it, if it did.
    """
    published = json.loads(PAPER.read_text(encoding="utf-8"))["results"]
    rows, sections, all_sequences, all_details, all_curves = [], [], {}, {}, {}
    for folder in ("metrics", "figures"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for dataset, paper_name in datasets.items():
        check(models / dataset, {"poses": poses / dataset})
        check(results / dataset, {"poses": poses / dataset, "models": models / dataset, "fused": fused / dataset})
        details = json.loads((results / dataset / "details.json").read_text(encoding="utf-8"))
        write_json(path / "metrics" / f"{dataset}.json", metrics_tree(details))
        curves = read_curves(models / dataset / "loss.csv") + read_curves(fused / dataset / "loss.csv")
        sequences, action = read_sequences(poses / dataset), next(iter(details["actions"]))
        seen = details["inputs"][0]
        draw_alignment(
            sequences, results / dataset / "embeddings" / action / seen, action, path / "figures" / f"{dataset}.png"
        )
        draw_losses(networks_of(curves), path / "figures" / f"{dataset}_loss.png")
        sections.append(section(dataset, details, published.get(paper_name), sequences.provenance))
        all_sequences[dataset], all_details[dataset], all_curves[dataset] = sequences, details, curves
        rows += read_rows(results / dataset / "results.csv")
    for group in pose_sources.same_videos(all_sequences):
        sections.append(pose_sources.section(group, all_sequences, all_details))
    write_plots(all_details, all_curves, path / "plots")
    write_rows(rows, path / "results.csv")
    (path / "report.md").write_text("\n".join([INTRODUCTION, *sections]), encoding="utf-8")
    return {"rows": len(rows), "datasets": len(datasets)}


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
    """(action, input, seed) -> the rows of one network."""
    networks: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in curves:
        networks.setdefault((row["action"], row["input"], f"seed{row['seed']}"), []).append(row)
    return networks
