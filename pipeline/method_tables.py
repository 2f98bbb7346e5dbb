"""One table of systems on one data set, its controls among the rows: Markdown to read, CSV and JSON to go on with."""

import csv
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from scipy.special import ndtri

from pipeline.comparison import LEVEL, welch
from pipeline.inputs import OWN, STORES, Inputs, label
from pipeline.store import write_json
from pipeline.table import VARIANTS, is_trained, method_and_input
from pipeline.tables import LABELS, headline_action
from pipeline.wording import CALLED, describe, number, systems, table

COLUMNS = (
    "system", "method", "input", "condition", "metric", "variant", "value", "low", "high", "std_over_seeds", "published",
    "minus_la2ds", "minus_la2ds_low", "minus_la2ds_high",
)  # fmt: skip
OF_CONDITIONS = ("acc_100", "event_error")  # shown clock-broken too, and side by side where there are several
WITHOUT = {
    "extracted": "there are no 3D poses with body axes",
    "frames": "no pictures were cut (add [rgb] to `inputs` of the data set and run `dvc repro`)",
}
PUBLISHED = Path(__file__).with_name("paper_results.json")


def applicable(wanted: Mapping[str, Inputs], there: Iterable[str]) -> tuple[dict[str, Inputs], list[str]]:
    """The rows of a table that a data set can have, method -> inputs, and a note on those that it cannot, for each cause.

    there: the stores that it has, of those in `pipeline.inputs.STORES`.
    """
    there, rows, left_out = set(there), {}, {}
    for method, inputs in wanted.items():
        lacking = {seen: {STORES[name] for name in seen} - there for seen in inputs}
        if fitting := tuple(seen for seen in inputs if not lacking[seen]):
            rows[method] = fitting
        for seen, stores in lacking.items():
            if stores:
                named = f"{CALLED.get(method, method)} on {label(seen)}"
                left_out.setdefault(tuple(sorted(stores)), []).append(named)
    return rows, [
        f"left out, as {' and '.join(WITHOUT[store] for store in stores)}: {', '.join(named)}"
        for stores, named in left_out.items()
    ]


def write_table(
    name: str, conditions: Mapping[str, dict], reader: str | None, run: Mapping, notes: Iterable[str], path: Path
) -> dict:
    """Write <name>.md, .csv and .json below `path`; returns counts for the summary.

    conditions: under which videos were seen -> what `evaluate_dataset` wrote of these systems; "" is the only one of most
    tables. reader: of the data set; the paper's own numbers of this table on it stand beside ours.
    run: what else it was made with, as JSON: preset, seeds, how poses were made worse.
    """
    path.mkdir(parents=True, exist_ok=True)
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["tables"].get(name, {}).get(reader, {})
    first = next(iter(conditions.values()))
    action = headline_action(first)
    rows = [
        {
            "system": label_of,
            "method": method_and_input(each)[0],
            "input": method_and_input(each)[1],
            "condition": condition,
            "metric": metric,
            "variant": variant,
            **score,
            "published": _printed(published, each, condition, metric, variant),
            **_minus(_gap(details, action, each, metric, variant, len(run["seeds"]))),
        }
        for condition, details in conditions.items()
        for scores in [details["scores"][action]]
        for each, label_of in systems(scores).items()
        for variant in VARIANTS
        for metric, score in scores[each][variant].items()
    ]
    with (path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        out.writeheader()
        out.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    told = [*notes, *_each_once(conditions.values())]
    facts = {"table": name, "dataset": first["dataset"], "action": action, **run, "notes": told}
    write_json(path / f"{name}.json", facts | {"rows": rows})
    if published:
        told.append(
            "as published: the paper's numbers, of its own protocol, poses and labels; not a measure of this run"
        )
    if len(conditions) > 1:
        body = _by_condition(rows)
        for condition, details in conditions.items():
            if beside := _beside_own(details, action, len(run["seeds"])):
                body += f"## {condition}, beside LA2DS\n{beside}\n"
    else:
        body = _by_metric(first["scores"][action], published)
        body += _beside_own(first, action, len(run["seeds"]))
    (path / f"{name}.md").write_text(_framed(name, first, run, body, told), encoding="utf-8")
    return {"systems": len({row["system"] for row in rows}), "rows": len(rows)}


def _each_once(evaluations: Collection[dict]) -> list[str]:
    """The notes of evaluations; one that is of all actions without their names, and no note twice."""
    found: dict[str, list[str]] = {}
    for details in evaluations:
        for note in details["notes"]:
            action, _, rest = note.partition(": ")
            known = action in details["actions"]
            found.setdefault(rest if known else note, []).append(action if known else "")
    every = {action for details in evaluations for action in details["actions"]}
    return [
        note if not any(about) or set(about) == every else f"{', '.join(dict.fromkeys(about))}: {note}"
        for note, about in found.items()
    ]


def _printed(published: dict, system: str, condition: str, metric: str, variant: str) -> float | None:
    """The paper's number: of a system's metric, or of its condition, of which the paper prints acc_100 alone."""
    if variant != "plain" or (condition and metric != "acc_100"):
        return None
    return published.get(system, {}).get(condition or metric)


def _framed(name: str, details: dict, run: Mapping, body: str, notes: Iterable[str]) -> str:
    counts = ", ".join(f"{act} {of['train_videos']} / {of['val_videos']}" for act, of in details["actions"].items())
    return (
        f"# {name} on {details['dataset']} ({headline_action(details)})\n\n"
        f"Poses: {details['poses']}; {LABELS[details['labels']]}. Videos, train / val: {counts}."
        f" Preset {run['preset']}, training seeds {', '.join(map(str, run['seeds']))}. Square brackets: 95 % interval"
        " over validation videos, the seeds' mean; ±: standard deviation over seeds, where there are several. Of event error"
        " lower is better, of the rest higher. Kendall's tau asks for monotone matches alone, which a clock and a path have.\n\n"
        + body
        + "".join(f"\n- {note}" for note in notes)
        + "\n"
    )


def _by_metric(scores: dict, published: Mapping[str, dict]) -> str:
    """A row a system, a column a metric; published numbers in a row of their own."""
    labels = systems(scores)
    known = dict.fromkeys(metric for each in labels for metric in scores[each]["plain"])
    columns = [
        (metric, variant)
        for metric in known
        if not metric.startswith("event_within")
        for variant in (VARIANTS if metric in OF_CONDITIONS else ("plain",))
    ]
    header = ["system", *(describe(m)[0] + (", clock-broken" if v != "plain" else "") for m, v in columns)]
    rows = []
    for each, called in labels.items():
        rows.append([called, *(number(scores[each][v].get(m), m) for m, v in columns)])
        if each in published:
            printed = (_printed(published, each, "", m, v) for m, v in columns)
            rows.append([f"{called}, as published", *("-" if value is None else str(value) for value in printed)])
    return table(header, rows)


def _beside_own(details: dict, action: str, num_seeds: int) -> str:
    """How every trained system differs from LA2DS: what a claim of one over the other rests on."""
    labels = systems(details["scores"][action])
    columns = [(metric, variant) for metric in OF_CONDITIONS for variant in VARIANTS]
    rows = [
        [labels[each], *(number(_gap(details, action, each, m, v, num_seeds), m, sign=True) for m, v in columns)]
        for each in labels
        if is_trained(each) and each in details["minus_own"].get(action, {})
    ]
    over = "videos and training seeds" if num_seeds > 1 else "videos alone"
    header = [f"minus LA2DS [over {over}]", *(f"{describe(m)[0]}, {v.replace('_', '-')}" for m, v in columns)]
    return f"\n{table(header, rows)}" if rows else ""


def _gap(details: dict, action: str, system: str, metric: str, variant: str, num_seeds: int) -> dict | None:
    """A trained system's difference to LA2DS, and its interval: paired over videos, and over training seeds where there are
    several.

    The variance over videos is that of a normal distribution with the bootstrap's interval.
    """
    if not is_trained(system):
        return None
    gap = details["minus_own"].get(action, {}).get(system, {}).get(variant, {}).get(metric)
    if gap is None or num_seeds < 2:
        return gap
    scores = [details["scores"][action][each][variant][metric] for each in (OWN, system)]
    if any("std_over_seeds" not in score for score in scores):  # a method with a seed of its own
        return gap
    videos = sum(of["val_videos"] - 1 for of in details["actions"].values())
    parts = [((gap["high"] - gap["low"]) ** 2 / (2 * float(ndtri((1 + LEVEL) / 2))) ** 2, max(videos, 1))]
    parts += [(score["std_over_seeds"] ** 2 / num_seeds, num_seeds - 1) for score in scores]
    found = welch(gap["value"], parts, True)
    return {"value": found.value, "low": found.low, "high": found.high}


def _minus(gap: dict | None) -> dict:
    """The columns of a difference to LA2DS."""
    named = {"minus_la2ds": "value", "minus_la2ds_low": "low", "minus_la2ds_high": "high"}
    return {column: gap[key] for column, key in named.items()} if gap else {}


def _by_condition(rows: list[dict]) -> str:
    """For each metric and variant a table: a row a system, a column a condition."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    text = ""
    for metric, variant in ((metric, variant) for metric in OF_CONDITIONS for variant in VARIANTS):
        cells: dict[str, dict[str, dict]] = {}
        for row in rows:
            if (row["metric"], row["variant"]) == (metric, variant):
                cells.setdefault(row["system"], {})[row["condition"]] = row
        lines = []
        for called, of_system in cells.items():
            lines.append([called, *(number(of_system.get(c), metric) for c in conditions)])
            printed = [of_system[c]["published"] if c in of_system else None for c in conditions]
            if any(printed):
                lines.append([f"{called}, as published", *("-" if value is None else str(value) for value in printed)])
        if lines:
            text += (
                f"## {describe(metric)[0]}, {variant.replace('_', '-')}\n\n{table(['system', *conditions], lines)}\n"
            )
    return text
