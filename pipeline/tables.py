"""The tables of a report, computed once for Markdown and HTML: every number stands beside its controls."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from pipeline.table import ALL_ACTIONS, VARIANTS, method_and_input
from pipeline.wording import describe, number, own, systems, table

LABELS = {
    "exact": "labels exact, made with the poses",
    "carried": "labels **carried over by a network from a few labelled clips: no measure of that network**",
    "derived": "labels **derived from the joints, not human**",
    "human": "human labels",
    "none": "no labels",
}


@dataclass(frozen=True)
class Table:
    """rows: of cells that are text already, the first `heads` of which name the row. note: a sentence before it, Markdown."""

    title: str
    header: list[str]
    rows: list[list[str]]
    heads: int = 1
    note: str = ""

    def groups(self) -> list[tuple[str, list[list[str]]]]:
        """Runs of rows with one first cell, and their other cells, where runs are of two or more; else all rows without a name."""
        runs = [(name, [row[1:] for row in run]) for name, run in groupby(self.rows, key=itemgetter(0))]
        return runs if self.heads > 1 and len(self.rows) >= 2 * len(runs) else [("", self.rows)]

    def markdown(self) -> str:
        """A heading of the third level, the note, the table."""
        note = f"{self.note}\n\n" if self.note else ""
        return f"### {self.title}\n\n{note}" + table(self.header, self.rows)


def tables(details: dict, published: dict | None) -> dict[str, list[Table]]:
    """Of a data set by what they tell: headline, fusion, per_action, all, paper; those without a row are left out.

    details: its details.json. published: the paper's rows on it, if any.
    """
    actions, scores = list(details["actions"]), details["scores"]
    headline = headline_action(details)
    found = {
        "headline": [_headline(details, headline)],
        "fusion": [_fusion(details, headline)],
        "per_action": _per_action(scores, actions) if len(actions) > 1 else [],
        "all": [_all_metrics(scores, headline)],
        "paper": [_paper(scores[headline], details, published)] if published else [],
    }
    return {name: [each for each in group if each.rows] for name, group in found.items()}


def headline_action(details: dict) -> str:
    """Which scores stand first: the mean over actions, where there are several."""
    actions = list(details["actions"])
    return ALL_ACTIONS if len(actions) > 1 else actions[0]


def _headline(details: dict, action: str) -> Table:
    scores, minus = details["scores"][action], details["minus_time_only"][action]
    reference = scores[own(scores)[0]]["plain"]
    metrics = [metric for metric in ("event_error", "acc_100") if metric in reference]
    rows = []
    for metric in metrics or ["tau"]:
        for method, label in systems(scores).items():
            if metric in scores[method]["plain"]:
                cells = [number(scores[method][variant].get(metric), metric) for variant in VARIANTS]
                gaps = [minus.get(method, {}).get(variant, {}).get(metric) for variant in VARIANTS]
                rows.append([describe(metric)[0], label, *cells, *(number(gap, metric, sign=True) for gap in gaps)])
    header = ["metric", "method", "plain", "clock-broken", "plain minus time only", "clock-broken minus time only"]
    return Table(f"Headline ({action})", header, rows, 2, "Event error: lower is better; accuracy: higher.")


def _fusion(details: dict, action: str) -> Table:
    """What fusion adds to each of its parts (the question of the paper's Tables 8 and 12)."""
    labels = systems(details["scores"][action])
    rows = [
        [
            describe(metric)[0],
            labels[name],
            labels[part],
            *(number(g.get(metric), metric, sign=True) for g in gaps.values()),
        ]
        for name, parts in details["fusion_minus_parts"][action].items()
        for part, gaps in parts.items()
        for metric in ("event_error", "acc_100", "tau")
        if any(metric in gap for gap in gaps.values())
    ]
    note = "Fused minus one of its parts, paired over the same videos; the brackets do not contain the variance of training."
    return Table(f"What fusion adds ({action})", ["metric", "fused", "minus", "plain", "clock-broken"], rows, 3, note)


def _per_action(scores: dict, actions: list[str]) -> list[Table]:
    labels = systems(scores[actions[0]])
    labels.pop("majority", None)
    first, found = own(labels)[0], []
    for metric, variant in (("acc_100", "plain"), ("event_error", "clock_broken"), ("event_error", "plain")):
        rows = [
            [
                action,
                *(number(scores[action].get(method, {}).get(variant, {}).get(metric), metric) for method in labels),
            ]
            for action in actions
            if metric in scores[action][first][variant]
        ]
        title = f"Per action: {describe(metric)[0]}, {variant.replace('_', '-')}"
        found.append(Table(title, ["action", *labels.values()], rows))
    return found


def _all_metrics(scores: dict, action: str) -> Table:
    labels = systems(name for name, variants in scores[action].items() if any(variants.values()))
    ours = own(labels)
    rows = [
        [describe(metric)[0], variant.replace("_", "-")]
        + [number(scores[action][m][variant].get(metric), metric, interval=m in ours) for m in labels]
        for metric in scores[action][ours[0]]["plain"]
        for variant in VARIANTS
    ]
    return Table(f"All metrics ({action})", ["metric", "variant", *labels.values()], rows, 2)


def _paper(scores: dict, details: dict, published: dict) -> Table:
    """The paper's own numbers beside ours."""
    columns = published["columns"]
    rows = []
    for name in own(scores):
        values = [number(scores[name]["plain"].get(metric), metric, False) for metric in columns]
        rows.append([f"la2ds ({method_and_input(name)[1]}), this run", details["poses"], *values])
    for row in published["rows"]:
        rows.append([f"{row['method']}, as published", row["poses"], *(str(value) for value in row["values"])])
    caveat = (
        f"Not the same protocol: here {len(details['actions'])} action(s), {LABELS[details['labels']]}, {details['poses']}"
        " poses; the published rows are means over 13 actions with human labels."
    )
    return Table("Beside the paper", ["method", "poses", *columns], rows, 2, caveat)


def side_results(details: dict) -> Table:
    """What the protocol asks to be told as well: logistic regression, milliseconds, undefined taus. Of the first seed."""
    rows = []
    for action, facts in details["actions"].items():
        firsts = {key.split()[0]: found for key, found in reversed(facts["methods"].items())}
        labels = systems(name for name in firsts if name != "majority")
        for method, label in labels.items():
            for variant, found in firsts[method].items():
                cells = [
                    f"{found[key]['value']:.{digits}f}" if key in found else "-"
                    for key, digits in (("acc_100_logistic", 1), ("event_error_ms", 0))
                ]
                pairs = f"{found['tau_nan_pairs']} of {found['tau_pairs']}" if "tau_pairs" in found else "-"
                rows.append([action, label, variant.replace("_", "-"), *cells, pairs])
    header = [
        "action",
        "method",
        "variant",
        "logistic regression accuracy, %",
        "event error, ms",
        "pairs without tau (scored 0)",
    ]
    return Table("Logistic regression, milliseconds, undefined taus, label order", header, rows, 3)
