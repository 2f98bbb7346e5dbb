"""From each data set's results to what people read and diff: one long table, metric JSON, plot data, report.md."""

import csv
import json
from pathlib import Path

from pipeline import pose_sources
from pipeline.markdown import INTRODUCTION, section
from pipeline.sequence import read_sequences
from pipeline.showcase import draw_alignment
from pipeline.store import check, write_json
from pipeline.table import read_rows, write_rows

PAPER = Path(__file__).with_name("paper_results.json")
SIDE_RESULTS = ("acc_10_logistic", "acc_50_logistic", "acc_100_logistic", "event_error_ms", "tau_nan_pairs")


def write_report(datasets: dict[str, str | None], poses: Path, results: Path, models: Path, path: Path) -> dict:
    """Write results.csv, metrics/*.json, plots/, figures/ and report.md below `path`; returns counts for the summary.

    datasets: names, each with results/<name> and models/<name> as `evaluate_dataset` and `train_dataset` wrote them; and
    the name under which the paper printed results on it, if it did.
    """
    published = json.loads(PAPER.read_text(encoding="utf-8"))["results"]
    rows, sections, all_sequences, all_details = [], [], {}, {}
    for folder in ("metrics", "figures", "plots/loss", "plots/learning_rate"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for dataset, paper_name in datasets.items():
        check(models / dataset, {"poses": poses / dataset})
        check(results / dataset, {"poses": poses / dataset, "models": models / dataset})
        details = json.loads((results / dataset / "details.json").read_text(encoding="utf-8"))
        write_json(path / "metrics" / f"{dataset}.json", metrics_tree(details))
        write_plots(dataset, models / dataset / "loss.csv", path / "plots")
        sequences, action = read_sequences(poses / dataset), next(iter(details["actions"]))
        draw_alignment(sequences, results / dataset, action, path / "figures" / f"{dataset}.png")
        sections.append(section(dataset, details, published.get(paper_name), sequences.provenance))
        all_sequences[dataset], all_details[dataset] = sequences, details
        rows += read_rows(results / dataset / "results.csv")
    for group in pose_sources.same_videos(all_sequences):
        sections.append(pose_sources.section(group, all_sequences, all_details))
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


def write_plots(dataset: str, losses: Path, path: Path) -> None:
    """One small CSV per network and curve, which DVC draws."""
    with losses.open(newline="", encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    for curve in ("loss", "learning_rate"):
        for action, seed in dict.fromkeys((row["action"], row["seed"]) for row in curves):
            lines = [f"{r['epoch']},{r[curve]}\n" for r in curves if (r["action"], r["seed"]) == (action, seed)]
            file = path / curve / f"{dataset}_{action}_seed{seed}.csv"
            file.write_text(f"epoch,{curve}\n" + "".join(lines), encoding="utf-8")
