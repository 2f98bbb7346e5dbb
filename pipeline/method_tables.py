"""One table of systems on one data set, its controls among the rows: Markdown to read, CSV and JSON to go on with."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.inputs import STORES, Inputs, label
from pipeline.store import write_json
from pipeline.table import VARIANTS, method_and_input
from pipeline.tables import LABELS, headline_action
from pipeline.wording import describe, number, systems, table

COLUMNS = ("system", "method", "input", "metric", "variant", "value", "low", "high", "std_over_seeds", "published")
PUBLISHED = Path(__file__).with_name("paper_results.json")


def applicable(wanted: Mapping[str, Inputs], there: Iterable[str]) -> tuple[dict[str, Inputs], list[str]]:
    """The rows of a table that a data set can have, method -> inputs, and a note on each that it cannot.

    there: the stores that it has, of those in `pipeline.inputs.STORES`.
    """
    there, rows, notes = set(there), {}, []
    for method, inputs in wanted.items():
        lacking = {seen: {STORES[name] for name in seen} - there for seen in inputs}
        if fitting := tuple(seen for seen in inputs if not lacking[seen]):
            rows[method] = fitting
        notes += [
            f"{method} on {label(seen)} is left out: this data set has no {' and '.join(sorted(stores))}"
            for seen, stores in lacking.items()
            if stores
        ]
    return rows, notes


def write_table(name: str, details: dict, reader: str | None, notes: Iterable[str], path: Path) -> dict:
    """Write <name>.md, .csv and .json below `path`; returns counts for the summary.

    details: what `evaluate_dataset` wrote of these systems. reader: of the data set; the paper's own numbers of this table on
    it stand beside ours.
    """
    path.mkdir(parents=True, exist_ok=True)
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["tables"].get(name, {}).get(reader, {})
    action = headline_action(details)
    scores = details["scores"][action]
    rows = [
        {
            "system": label_of,
            "method": method_and_input(each)[0],
            "input": method_and_input(each)[1],
            "metric": metric,
            "variant": variant,
            **score,
            "published": published.get(each, {}).get(metric) if variant == "plain" else None,
        }
        for each, label_of in systems(scores).items()
        for variant in VARIANTS
        for metric, score in scores[each][variant].items()
    ]
    with (path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        out.writeheader()
        out.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    facts = {"table": name, "dataset": details["dataset"], "action": action, "notes": [*notes, *details["notes"]]}
    write_json(path / f"{name}.json", facts | {"rows": rows})
    (path / f"{name}.md").write_text(markdown(name, details, published, facts["notes"]), encoding="utf-8")
    return {"systems": len(systems(scores)), "rows": len(rows)}


def markdown(name: str, details: dict, published: Mapping[str, dict], notes: Iterable[str]) -> str:
    """The table as people read it: plain and clock-broken, with intervals, published numbers in a row of their own."""
    action = headline_action(details)
    scores, labels = details["scores"][action], systems(details["scores"][action])
    known = dict.fromkeys(metric for each in labels for metric in scores[each]["plain"])
    metrics = [metric for metric in known if not metric.startswith("event_within")]
    columns = [
        (metric, variant) for metric in metrics for variant in (VARIANTS if metric == "event_error" else ("plain",))
    ]
    header = ["system", *(f"{describe(m)[0]}{', clock-broken' if v != 'plain' else ''}" for m, v in columns)]
    rows = []
    for each, of_system in labels.items():
        rows.append([of_system, *(number(scores[each][v].get(m), m) for m, v in columns)])
        if paper := published.get(each):
            rows.append(
                [f"{of_system}, as published", *(str(paper.get(m, "-")) if v == "plain" else "-" for m, v in columns)]
            )
    facts = details["actions"]
    counts = ", ".join(f"{act} {of['train_videos']} / {of['val_videos']}" for act, of in facts.items())
    return (
        f"# {name} on {details['dataset']} ({action})\n\n"
        f"Poses: {details['poses']}; {LABELS[details['labels']]}. Videos, train / val: {counts}. Square brackets: 95 % interval"
        " over validation videos, the seeds' mean; ±: standard deviation over seeds, where there are several. Event error and"
        " only it: lower is better. Kendall's tau asks for monotone matches alone, which a clock has.\n\n"
        + table(header, rows)
        + "".join(f"\n- {note}" for note in notes)
        + "\n"
    )
