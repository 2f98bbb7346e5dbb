"""One data set's results as Markdown: tables in which every number stands beside its controls."""

from pipeline.table import method_and_input
from pipeline.tables import LABELS, side_results, tables
from pipeline.wording import own, table

INTRODUCTION = """# la2ds report

Every number is on validation videos, with frozen features, and stands beside its controls: a method that does not beat
**time only** (it sees the clock t/T and no pose) has not shown that it looks at the person.

- **Event error**: the frame of a key event in one video, its nearest neighbour in another video, minus the true frame
  there; all ordered pairs, mean absolute value in % of the other clip's length.
- **Phase accuracy**: an SVM on frame features, fitted on the given share of the training videos. A phase is the time
  between two key events. **AP@K**: share of the right phase among the K nearest frames of all other validation videos.
- **Progression**: R² of linear regressors, one per key event, for (t - event) / T; 0 is what the mean gives, and wild
  predictions lie far below. **Tau**: order of nearest neighbours.
  Both are about time itself, so a clock is good at them; they are there to compare with papers, never as the headline.
- **Input**: `pose2d`, joint and limb heatmaps; `rgb`, crops of the video; `flow`, their optical flow; `pose2d+rgb`, both
  fused: encoders trained alone, then together. A label without an input sees 2D poses.
- **Raw pose**: 2D joints relative to the crop box, missing ones interpolated. **Raw picture**: crops shrunk to 12 x 12
  pixels. **Untrained network**: the same network at its initial weights, for each architecture; positions start as
  sinusoids, so it is close to a clock. **Majority class**: no feature at all. **DTW**, **soft-DTW of raw poses**: the best path through two
  whole clips; no feature of a frame, so nothing but event error and tau.
- **Clock-broken**: each validation video is cropped to a random window and resampled by a random smooth warp, so that
  the clock tells far less (the time-only rows say how much). Percentages are then of the shorter, broken clip, and
  milliseconds by its nominal frame rate: compare methods within a column, not columns.
- Square brackets: 95 % bootstrap interval over validation videos (for AP, over queries). It does not contain the
  variance of training, which can be as large: another seed, machine or number of threads gives other networks. ± is the
  standard deviation over seeds, where there are several. "minus time only" is paired over the same videos.
"""


LABEL_ORDER = "Label fractions take the first training videos in this order:"


def section(dataset: str, details: dict, published: dict | None, provenance: dict[str, str]) -> str:
    """All that the report says of a data set.

    details: its details.json. published: the paper's rows on it, if any. provenance: of its poses.
    """
    found = {name: [each.markdown() for each in group] for name, group in tables(details, published).items()}
    parts = [
        f"## {dataset}\n",
        description(details, provenance) + "\n",
        _picture(dataset, next(iter(details["actions"])), details),
        *found["headline"],
        *found["fusion"],
        _training(dataset, details),
        *found["per_action"],
        *found["all"],
        *found["paper"],
        _side_results(details),
        _notes(details),
    ]
    return "\n".join(part for part in parts if part)


def description(details: dict, provenance: dict[str, str]) -> str:
    """Poses, labels, counts, what was left out, where the poses came from: Markdown."""
    # Nobody has exact labels of real people.
    kind = "**Synthetic people.** " if details["synthetic"] or details["labels"] == "exact" else ""
    counts = ", ".join(
        f"{action} {facts['train_videos']} train / {facts['val_videos']} val"
        for action, facts in details["actions"].items()
    )
    first = own(details["scores"][next(iter(details["actions"]))])[0]
    seeds = {name for facts in details["actions"].values() for name in facts["methods"] if name.split()[0] == first}
    trained = "One training seed" if len(seeds) == 1 else f"{len(seeds)} training seeds"
    text = (
        f"{kind}Poses: {details['poses']}; {LABELS[details['labels']]}. Videos: {counts}. Inputs:"
        f" {', '.join(details['inputs'])}. {trained}."
    )
    if details["left_out"]:
        first = "; ".join(f"{name}: {reason}" for name, reason in list(details["left_out"].items())[:3])
        text += f" **{len(details['left_out'])} sequences left out**, e.g. {first}."
    if provenance:
        text += "\n"
    text += "".join(f"\n- {fact}: {value}" for fact, value in provenance.items())
    return text


def _picture(dataset: str, action: str, details: dict) -> str:
    pair = " The pair has the median event error." if details["labels"] != "none" else ""
    return (
        f"![Two people, {action}](figures/{dataset}.png)\n\n*{action}: one person's frames, and the frames of another"
        f" that the embedding ({method_and_input(details['systems'][0])[1]}) and the clock hold for the same moments; a colour is a phase.{pair}*\n"
    )


def _training(dataset: str, details: dict) -> str:
    text = "### Training\n\n" + f"![Training losses of {dataset}](figures/{dataset}_loss.png)\n"
    if any("+" in name for name in details["systems"]):
        text += "\n*Stage one trains an encoder of each modality alone, stage two (behind the line) those of an input together.*\n"
    return text


def _side_results(details: dict) -> str:
    found = side_results(details)
    orders = [f"- {action}: {', '.join(facts['label_order'])}\n" for action, facts in details["actions"].items()]
    return (
        f"<details><summary>{found.title}</summary>\n\n"
        + table(found.header, found.rows)
        + f"\n{LABEL_ORDER}\n\n"
        + "".join(orders)
        + "\n</details>\n"
    )


def _notes(details: dict) -> str:
    return "### Notes\n\n" + "".join(f"- {note}\n" for note in details["notes"]) if details["notes"] else ""
