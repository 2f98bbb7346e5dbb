"""From each data set's results to what people read and diff: one long table, metric JSON, plot data, report.md."""

import csv
import json
import statistics
from pathlib import Path

from pipeline.sequence import read_sequences
from pipeline.showcase import draw_alignment
from pipeline.store import write_json
from pipeline.table import ALL_ACTIONS, VARIANTS, read_rows, write_rows

METHODS = {
    "la2ds": "LA2DS",
    "time_only": "time only (t/T)",
    "raw_pose": "raw pose",
    "untrained": "untrained network",
    "majority": "majority class",
}
METRICS = {
    "acc_10": ("phase accuracy, 10 % of labels", "%", 1),
    "acc_50": ("phase accuracy, 50 % of labels", "%", 1),
    "acc_100": ("phase accuracy, 100 % of labels", "%", 1),
    "progression": ("phase progression, R²", "", 3),
    "tau": ("Kendall's tau", "", 3),
    "ap_5": ("retrieval AP@5", "%", 1),
    "ap_10": ("retrieval AP@10", "%", 1),
    "ap_15": ("retrieval AP@15", "%", 1),
    "event_error": ("event error, % of the clip", "%", 1),
    "event_within_5": ("events within 5 % of the clip", "%", 1),
}
PAPER = Path(__file__).with_name("paper_results.json")

Key = tuple[str, str, str, str]  # action, method, variant, metric


def over_seeds(rows: list[dict]) -> dict[Key, dict]:
    """Per action, method, variant and metric: the mean value and interval over seeds, and the seeds' std if several."""
    groups: dict[Key, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["action"], row["method"], row["variant"], row["metric"]), []).append(row)
    result = {}
    for key, group in groups.items():
        score = {name: round(statistics.fmean(row[name] for row in group), 6) for name in ("value", "low", "high")}
        if len(group) > 1:
            score["std_over_seeds"] = round(statistics.stdev(row["value"] for row in group), 6)
        result[key] = score
    return result


def nested(scores: dict[Key, dict]) -> dict:
    """action -> method -> variant -> metric -> value, low, high: what `dvc metrics diff` compares."""
    tree: dict = {}
    for (action, method, variant, metric), score in scores.items():
        tree.setdefault(action, {}).setdefault(method, {}).setdefault(variant, {})[metric] = score
    return tree


def write_report(datasets: dict[str, str | None], poses: Path, results: Path, models: Path, path: Path) -> dict:
    """Write results.csv, metrics/*.json, plots/ and report.md below `path`; returns counts for the summary line.

    datasets: names, each with results/<name>/results.csv and details.json, and models/<name>/loss.csv; and the name
    under which the paper printed results on it, if it did.
    """
    rows, sections = [], []
    for folder in ("metrics", "figures", "plots/loss", "plots/learning_rate"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for dataset, paper_name in datasets.items():
        own = read_rows(results / dataset / "results.csv")
        details = json.loads((results / dataset / "details.json").read_text(encoding="utf-8"))
        scores = over_seeds(own)
        write_json(path / "metrics" / f"{dataset}.json", nested(scores))
        _write_plots(dataset, models / dataset / "loss.csv", path / "plots")
        draw_alignment(
            read_sequences(poses / dataset),
            results / dataset,
            next(iter(details["actions"])),
            path / "figures" / f"{dataset}.png",
        )
        sections.append(_section(dataset, scores, details, paper_name))
        rows += own
    write_rows(rows, path / "results.csv")
    (path / "report.md").write_text("\n".join([INTRODUCTION, *sections]), encoding="utf-8")
    return {"rows": len(rows), "datasets": len(datasets)}


def _write_plots(dataset: str, losses: Path, path: Path) -> None:
    """One small CSV per network and curve, which DVC draws."""
    with losses.open(newline="", encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    for curve in ("loss", "learning_rate"):
        for action, seed in dict.fromkeys((row["action"], row["seed"]) for row in curves):
            lines = [f"{r['epoch']},{r[curve]}\n" for r in curves if (r["action"], r["seed"]) == (action, seed)]
            file = path / curve / f"{dataset}_{action}_seed{seed}.csv"
            file.write_text(f"epoch,{curve}\n" + "".join(lines), encoding="utf-8")


INTRODUCTION = """# la2ds report

Every number is on validation videos, with frozen features, and stands beside its controls: a method that does not beat
**time only** (it sees the clock t/T and no pose) has not shown that it looks at the person. **Clock-broken**: each
validation video is cropped to a random window and resampled by a random smooth warp, so that the clock tells nothing.
Square brackets: 95 % bootstrap interval over validation videos. "minus time only" is paired over the same videos.
Event error and tau compare all ordered pairs of videos; retrieval searches all other validation videos; tau only asks
for monotone matches, so a clock scores 1: it is there to compare with papers, never as the headline.
"""


def _section(dataset: str, scores: dict[Key, dict], details: dict, paper_name: str | None) -> str:
    actions = list(details["actions"])
    headline = ALL_ACTIONS if len(actions) > 1 else actions[0]
    parts = [
        f"## {dataset}\n",
        _description(details),
        _picture(dataset, actions[0]),
        _headline(scores, headline, details),
    ]
    if len(actions) > 1:
        parts.append(_per_action(scores, actions))
    parts += [_all_metrics(scores, headline), _paper(scores, headline, details, paper_name), _notes(details)]
    return "\n".join(part for part in parts if part)


def _description(details: dict) -> str:
    labels = {
        "exact": "labels exact, made with the poses",
        "derived": "labels **derived from the joints, not human**",
        "human": "human labels",
        "none": "no labels",
    }[details["labels"]]
    kind = "**Synthetic people.** " if details["synthetic"] else ""
    counts = ", ".join(
        f"{action} {facts['train_videos']} train / {facts['val_videos']} val"
        for action, facts in details["actions"].items()
    )
    reasons = ""
    if details["left_out"]:
        first = list(details["left_out"].items())[:3]
        reasons = (
            f" **{len(details['left_out'])} sequences left out**, e.g. "
            + "; ".join(f"{n}: {why}" for n, why in first)
            + "."
        )
    return f"{kind}Poses: {details['poses']}; {labels}. Videos: {counts}.{reasons}\n"


def _picture(dataset: str, action: str) -> str:
    return (
        f"![Two people, {action}](figures/{dataset}.png)\n\n*{action}: one person's frames, and the frames of another that"
        " the embedding and the clock hold for the same moments; a colour is a phase. The pair has the median error.*\n"
    )


def _number(score: dict | None, metric: str, interval: bool = True, sign: bool = False) -> str:
    if score is None:
        return "-"
    digits = METRICS[metric][2]
    text = f"{score['value']:{'+' if sign else ''}.{digits}f}"
    return text + (f" [{score['low']:.{digits}f}, {score['high']:.{digits}f}]" if interval else "")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _methods(scores: dict[Key, dict], action: str) -> list[str]:
    return [method for method in METHODS if any(key[:2] == (action, method) for key in scores)]


def _minus_time(details: dict, action: str, method: str, variant: str, metric: str) -> dict | None:
    return details["minus_time_only"].get(action, {}).get(method, {}).get(variant, {}).get(metric)


def _headline(scores: dict[Key, dict], action: str, details: dict) -> str:
    shown = [metric for metric in ("event_error", "acc_100") if (action, "la2ds", "plain", metric) in scores]
    rows = []
    for metric in shown or ["tau"]:
        for method in _methods(scores, action):
            cells = [scores.get((action, method, variant, metric)) for variant in VARIANTS]
            minus = [_minus_time(details, action, method, variant, metric) for variant in VARIANTS]
            if any(cells):
                rows.append(
                    [METRICS[metric][0], METHODS[method], *(_number(cell, metric) for cell in cells)]
                    + [_number(cell, metric, sign=True) for cell in minus]
                )
    header = ["metric", "method", "plain", "clock-broken", "plain minus time only", "clock-broken minus time only"]
    return f"### Headline ({action})\n\nEvent error: lower is better; accuracy: higher.\n\n" + _table(header, rows)


def _per_action(scores: dict[Key, dict], actions: list[str]) -> str:
    compared = ["la2ds", "time_only", "raw_pose", "untrained"]
    parts = []
    for metric, variant in (("acc_100", "plain"), ("event_error", "clock_broken"), ("event_error", "plain")):
        rows = [
            [action, *(_number(scores.get((action, method, variant, metric)), metric) for method in compared)]
            for action in actions
            if (action, "la2ds", variant, metric) in scores
        ]
        if rows:
            title = f"{METRICS[metric][0]}, {variant.replace('_', '-')}"
            parts.append(f"### Per action: {title}\n\n" + _table(["action", *(METHODS[m] for m in compared)], rows))
    return "\n".join(parts)


def _all_metrics(scores: dict[Key, dict], action: str) -> str:
    methods = _methods(scores, action)
    rows = [
        [label, variant.replace("_", "-")]
        + [
            _number(scores.get((action, method, variant, metric)), metric, interval=method == "la2ds")
            for method in methods
        ]
        for metric, (label, *_) in METRICS.items()
        for variant in VARIANTS
        if (action, "la2ds", variant, metric) in scores
    ]
    return f"### All metrics ({action})\n\n" + _table(["metric", "variant", *(METHODS[m] for m in methods)], rows)


def _paper(scores: dict[Key, dict], action: str, details: dict, paper_name: str | None) -> str:
    """The paper's own numbers beside ours, where the data set is one of the paper's."""
    published = json.loads(PAPER.read_text(encoding="utf-8"))["results"].get(paper_name)
    if not published:
        return ""
    ours = [scores.get((action, "la2ds", "plain", metric)) for metric in published["columns"]]
    rows = [
        [
            "la2ds, this run",
            details["poses"],
            *(_number(s, m, False) for s, m in zip(ours, published["columns"], strict=True)),
        ]
    ]
    for row in published["rows"]:
        rows.append([f"{row['method']}, as published", row["poses"], *(str(value) for value in row["values"])])
    caveat = (
        f"Not the same protocol: {len(details['actions'])} action(s) here, {details['labels']} labels, "
        "other poses. The published rows are 13 actions with human labels.\n"
    )
    return "### Beside the paper\n\n" + caveat + "\n" + _table(["method", "poses", *published["columns"]], rows)


def _notes(details: dict) -> str:
    return "### Notes\n\n" + "".join(f"- {note}\n" for note in details["notes"]) if details["notes"] else ""
