"""One data set's results as Markdown: tables in which every number stands beside its controls."""

from pipeline.table import ALL_ACTIONS, VARIANTS, method_and_input
from pipeline.wording import describe, number, own, systems, table

LABELS = {
    "exact": "labels exact, made with the poses",
    "derived": "labels **derived from the joints, not human**",
    "human": "human labels",
    "none": "no labels",
}

INTRODUCTION = """# la2ds report

Every number is on validation videos, with frozen features, and stands beside its controls: a method that does not beat
**time only** (it sees the clock t/T and no pose) has not shown that it looks at the person.

- **Event error**: the frame of a key event in one video, its nearest neighbour in another video, minus the true frame
  there; all ordered pairs, mean absolute value in % of the other clip's length.
- **Phase accuracy**: an SVM on frame features, fitted on the given share of the training videos. A phase is the time
  between two key events. **AP@K**: share of the right phase among the K nearest frames of all other validation videos.
- **Progression**: R² of linear regressors, one per key event, for (t - event) / T. **Tau**: order of nearest neighbours.
  Both are about time itself, so a clock is good at them; they are there to compare with papers, never as the headline.
- **Input**: `pose2d`, joint and limb heatmaps; `rgb`, crops of the video; `flow`, their optical flow; `pose2d+rgb`, both
  fused: encoders trained alone, then together. A label without an input sees 2D poses.
- **Raw pose**: 2D joints relative to the crop box, missing ones interpolated. **Raw picture**: crops shrunk to 12 x 12
  pixels. **Untrained network**: the same network at its initial weights; its positions start as sinusoids, so it is
  close to a clock. **Majority class**: no feature at all.
- **Clock-broken**: each validation video is cropped to a random window and resampled by a random smooth warp, so that
  the clock tells far less (the time-only rows say how much). Percentages are then of the shorter, broken clip, and
  milliseconds by its nominal frame rate: compare methods within a column, not columns.
- Square brackets: 95 % bootstrap interval over validation videos (for AP, over queries). It does not contain the
  variance of training; ± is the standard deviation over seeds, where there are several. "minus time only" is paired
  over the same videos.
"""


def section(dataset: str, details: dict, published: dict | None, provenance: dict[str, str]) -> str:
    """All that the report says of a data set.

    details: its details.json. published: the paper's rows on it, if any. provenance: of its poses.
    """
    actions = list(details["actions"])
    headline = ALL_ACTIONS if len(actions) > 1 else actions[0]
    scores = details["scores"]
    parts = [
        f"## {dataset}\n",
        _description(details, provenance),
        _picture(dataset, actions[0], details),
        _headline(details, headline),
        _fusion(details, headline),
        _training(dataset, details),
    ]
    if len(actions) > 1:
        parts.append(_per_action(scores, actions))
    parts.append(_all_metrics(scores, headline))
    if published:
        parts.append(_paper(scores[headline], details, published))
    return "\n".join(part for part in [*parts, _side_results(details), _notes(details)] if part)


def _description(details: dict, provenance: dict[str, str]) -> str:
    # Nobody has exact labels of real people.
    kind = "**Synthetic people.** " if details["synthetic"] or details["labels"] == "exact" else ""
    counts = ", ".join(
        f"{action} {facts['train_videos']} train / {facts['val_videos']} val"
        for action, facts in details["actions"].items()
    )
    first = own(details["scores"][next(iter(details["actions"]))])[0]
    seeds = {name for facts in details["actions"].values() for name in facts["methods"] if name.split()[0] == first}
    text = (
        f"{kind}Poses: {details['poses']}; {LABELS[details['labels']]}. Videos: {counts}. Inputs:"
        f" {', '.join(details['inputs'])}. Training seeds: {len(seeds)}."
    )
    if details["left_out"]:
        first = "; ".join(f"{name}: {reason}" for name, reason in list(details["left_out"].items())[:3])
        text += f" **{len(details['left_out'])} sequences left out**, e.g. {first}."
    if provenance:
        text += "\n"
    text += "".join(f"\n- {fact}: {value}" for fact, value in provenance.items())
    return text + "\n"


def _picture(dataset: str, action: str, details: dict) -> str:
    pair = " The pair has the median event error." if details["labels"] != "none" else ""
    return (
        f"![Two people, {action}](figures/{dataset}.png)\n\n*{action}: one person's frames, and the frames of another"
        f" that the embedding ({details['inputs'][0]}) and the clock hold for the same moments; a colour is a phase.{pair}*\n"
    )


def _fusion(details: dict, action: str) -> str:
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
    if not rows:
        return ""
    title = f"### What fusion adds ({action})\n\nFused minus one of its parts, paired over the same videos.\n\n"
    return title + table(["metric", "fused", "minus", "plain", "clock-broken"], rows)


def _training(dataset: str, details: dict) -> str:
    text = "### Training\n\n" + f"![Training losses of {dataset}](figures/{dataset}_loss.png)\n"
    if any("+" in seen for seen in details["inputs"]):
        text += "\n*Stage one trains an encoder of each modality alone, stage two (behind the line) those of an input together.*\n"
    return text


def _headline(details: dict, action: str) -> str:
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
    return f"### Headline ({action})\n\nEvent error: lower is better; accuracy: higher.\n\n" + table(header, rows)


def _per_action(scores: dict, actions: list[str]) -> str:
    labels = systems(scores[actions[0]])
    labels.pop("majority", None)
    first, parts = own(labels)[0], []
    for metric, variant in (("acc_100", "plain"), ("event_error", "clock_broken"), ("event_error", "plain")):
        rows = [
            [
                action,
                *(number(scores[action].get(method, {}).get(variant, {}).get(metric), metric) for method in labels),
            ]
            for action in actions
            if metric in scores[action][first][variant]
        ]
        if rows:
            title = f"{describe(metric)[0]}, {variant.replace('_', '-')}"
            parts.append(f"### Per action: {title}\n\n" + table(["action", *labels.values()], rows))
    return "\n".join(parts)


def _all_metrics(scores: dict, action: str) -> str:
    labels = systems(name for name, variants in scores[action].items() if any(variants.values()))
    ours = own(labels)
    rows = [
        [describe(metric)[0], variant.replace("_", "-")]
        + [number(scores[action][m][variant].get(metric), metric, interval=m in ours) for m in labels]
        for metric in scores[action][ours[0]]["plain"]
        for variant in VARIANTS
    ]
    return f"### All metrics ({action})\n\n" + table(["metric", "variant", *labels.values()], rows)


def _paper(scores: dict, details: dict, published: dict) -> str:
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
        " poses; the published rows are means over 13 actions with human labels.\n"
    )
    return "### Beside the paper\n\n" + caveat + "\n" + table(["method", "poses", *columns], rows)


def _side_results(details: dict) -> str:
    """What the protocol asks to be told as well: logistic regression, milliseconds, undefined taus, label order."""
    rows, orders = [], []
    for action, facts in details["actions"].items():
        firsts = {key.split()[0]: found for key, found in reversed(facts["methods"].items())}  # of each, the first seed
        labels = systems(name for name in firsts if name != "majority")
        for method, label in labels.items():
            for variant, found in firsts[method].items():
                cells = [
                    f"{found[key]['value']:.{digits}f}" if key in found else "-"
                    for key, digits in (("acc_100_logistic", 1), ("event_error_ms", 0))
                ]
                pairs = f"{found['tau_nan_pairs']} of {found['tau_pairs']}" if "tau_pairs" in found else "-"
                rows.append([action, label, variant.replace("_", "-"), *cells, pairs])
        orders.append(f"- {action}: {', '.join(facts['label_order'])}\n")
    header = [
        "action",
        "method",
        "variant",
        "logistic regression accuracy, %",
        "event error, ms",
        "pairs without tau (scored 0)",
    ]
    return (
        "<details><summary>Logistic regression, milliseconds, undefined taus, label order</summary>\n\n"
        + table(header, rows)
        + "\nLabel fractions take the first training videos in this order:\n\n"
        + "".join(orders)
        + "\n</details>\n"
    )


def _notes(details: dict) -> str:
    return "### Notes\n\n" + "".join(f"- {note}\n" for note in details["notes"]) if details["notes"] else ""
