"""What the HTML report shows of one action: confusion, examples, retrieval, a map of frames, distributions over pairs."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pipeline import charts
from pipeline.evidence import QUANTILES, ActionEvidence, distributions, evenly, frame_map, pair_scores, search
from pipeline.figures import SCREEN_COLORS, Cell, extent, pose_row
from pipeline.showcase import matches, ranked_pairs
from pipeline.table import method_and_input
from pipeline.wording import describe, own, phase_names, systems

NUM_COLUMNS = 9
UNLABELLED = "#777777"
MARKS = {
    True: {"kind": "right", "sign": "✓", "word": "right phase"},
    False: {"kind": "wrong", "sign": "✗", "word": "wrong phase"},
}


def action_context(evidence: ActionEvidence, details: dict, most_points: int) -> dict:
    """Everything of one action, ready for the template. details: of the data set."""
    clips = evidence.clips
    facts = details["actions"][evidence.action]
    phases = phase_names(facts["key_events"], clips.num_phases) if clips.labelled.any() else []
    labels = systems(evidence.systems)
    scores = {labels[name]: pair_scores(evidence.systems[name], evidence.tau_stride) for name in labels}
    first = scores[labels[next(iter(evidence.systems))]]
    return {
        "name": evidence.action,
        "input": method_and_input(details["systems"][0])[1],
        "videos": f"{len(clips)} of the {evidence.num_videos} validation videos"
        if len(clips) < evidence.num_videos
        else f"all {len(clips)} validation videos",
        "phases": [{"name": name, "color": _color(k)} for k, name in enumerate(phases)],
        "confusions": _confusions(facts, details["scores"][evidence.action]),
        "examples": _examples(evidence, first),
        "retrieval": _retrieval(evidence, facts["key_events"]),
        "maps": _maps(evidence, phases, most_points),
        "distributions": _distributions(scores, evidence.action),
    }


def _confusions(facts: dict, scores: dict) -> list[dict]:
    """Of the first seed of each network and of the clock, on both variants: shares of the true phase, in percent."""
    found = []
    labels = systems(scores)
    for name in [*own(scores), "time_only"]:
        variants = next((of for key, of in facts["methods"].items() if key.split()[0] == name), {})
        for variant, details in variants.items():
            if "confusion" in details:
                counts = np.array(details["confusion"], dtype=float)
                phases = phase_names(facts["key_events"], len(counts))  # training videos may have more
                shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
                title = f"{labels[name]}, {variant.replace('_', '-')}"
                found.append({"title": title, "phases": phases, "shares": shares.round().astype(int).tolist()})
    return found


def _examples(evidence: ActionEvidence, scores: dict[str, np.ndarray]) -> list[dict]:
    """The best, the median and the worst pair by event error, or by tau where no events are known."""
    metric = next((name for name in ("event_error", "tau") if name in scores), None)
    if metric is None:
        return [_example(evidence, 0, 1, "The first pair")]
    pairs = ranked_pairs(scores[metric] if metric == "event_error" else -scores[metric])
    found = []
    for rank, pair in {"Best": 0, "Median": len(pairs) // 2, "Worst": len(pairs) - 1}.items():
        query, other = pairs[pair]
        value = scores[metric][query, other]
        told = f"event error {value:.1f} % of the clip" if metric == "event_error" else f"Kendall's tau {value:.3f}"
        found.append(_example(evidence, query, other, f"{rank} of {len(pairs)} pairs: {told}"))
    return found


def _example(evidence: ActionEvidence, query: int, other: int, caption: str) -> dict:
    clips = evidence.clips
    frames = matches(clips, query, other, NUM_COLUMNS)
    names = {"shown": clips.names[query], "matched": f"{clips.names[other]}, by LA2DS"}
    names["by_clock"] = f"{clips.names[other]}, by the clock"
    video = {"shown": query, "matched": other, "by_clock": other}
    phase = {row: clips.phase[clips.offsets[video[row]] + of_row] for row, of_row in frames.items()}
    labelled = bool((phase["shown"] >= 0).all())
    rows, same = [], {}
    for row, of_row in frames.items():
        right = phase[row] == phase["shown"]
        same[row] = int(right.sum())
        marks = [labelled and row != "shown" and MARKS[bool(each)] for each in right]
        second = [f"phase {p + 1}" if p >= 0 else "" for p in phase[row]]
        labels = [_label(frame, mark, below) for frame, mark, below in zip(of_row.tolist(), marks, second, strict=True)]
        text = f"{NUM_COLUMNS} poses of {names[row]}, frames {', '.join(map(str, of_row.tolist()))}."
        rows.append(_row(evidence, names[row], [(video[row], frame) for frame in of_row.tolist()], labels, text))
    if labelled:
        caption += (
            f"; right phase in {same['matched']} of {NUM_COLUMNS} columns by LA2DS, {same['by_clock']} by the clock"
        )
    return {"caption": caption, "rows": rows, "columns": NUM_COLUMNS}


def _retrieval(evidence: ActionEvidence, key_events: list[str]) -> dict | None:
    """A row for each key event of the first video that has most of them: the event, and the nearest frames elsewhere."""
    clips = evidence.clips
    query = int(np.argmax((clips.events >= 0).sum(axis=1))) if clips.num_events else 0
    events = [(int(frame), e) for e, frame in enumerate(clips.events[query]) if frame >= 0]
    rows = []
    for frame, event in events or [(int(clips.lengths[query]) // 2, None)]:
        found = search(clips, query, frame, event)
        name = "the middle of the clip" if event is None else key_events[event]
        judged = [each.right for each in found if each.right is not None]
        share = f": right phase in {sum(judged)} of {len(judged)} other videos" if judged else ""
        shown = [found[i] for i in evenly(len(found), NUM_COLUMNS - 1)]
        off = ["" if each.off_percent is None else f"{each.off_percent:+.1f} %" for each in shown]
        labels = [_label(frame, None, "query")]
        labels += [_label(each.frame, MARKS.get(each.right), below) for each, below in zip(shown, off, strict=True)]
        text = f"{name} in {clips.names[query]}, then the nearest frames of {', '.join(clips.names[f.video] for f in shown)}."
        poses = [(query, frame), *((each.video, each.frame) for each in shown)]
        rows.append(_row(evidence, name + share, poses, labels, text))
    caption = (
        f"Query: {clips.names[query]}; {len(labels) - 1} of {len(found)} other videos, from the nearest to the farthest"
    )
    return {"caption": caption, "rows": rows, "columns": len(labels)}


def _label(frame: int, mark: dict | None, below: str) -> dict:
    return {"mark": mark, "frame": frame, "below": below}


def _row(evidence: ActionEvidence, name: str, poses: list[tuple[int, int]], labels: list[dict], text: str) -> dict:
    """Poses of (video, frame) below their name and above their labels; text: what is to be seen."""
    fig, _ = pose_row([_cell(evidence, *pose) for pose in poses], evidence.sequences.skeleton)
    return {"name": name, "labels": labels, "picture": picture(fig), "text": text}


def _cell(evidence: ActionEvidence, video: int, frame: int) -> Cell:
    sequences, frames = evidence.sequences, evidence.video(video)
    joints, confidence = sequences.joints[frames], sequences.confidence[frames]
    color = _color(int(sequences.phase[frames][frame]))
    return Cell(joints[frame], confidence[frame], extent(joints, confidence), color)


def _maps(evidence: ActionEvidence, phases: list[str], most: int) -> list[dict]:
    points = frame_map(evidence.clips, most)
    if not points:
        return []
    found = []
    if phases:
        text = f"t-SNE of {len(points)} frames of {evidence.action}, coloured by phase: {', '.join(phases)}."
        found.append(charts.for_page(charts.map_by_phase(points, phases, text), "Coloured by phase"))
    text = f"t-SNE of {len(points)} frames of {evidence.action}, coloured by progress t/T from 0 to 1."
    return [*found, charts.for_page(charts.map_by_progress(points, text), "Coloured by progress t/T")]


def _distributions(scores: dict[str, dict[str, np.ndarray]], action: str) -> list[dict]:
    found = []
    for metric, of_systems in distributions(scores).items():
        medians = ", ".join(f"{label} {values[len(values) // 2]:.3g}" for label, values in of_systems.items())
        name = describe(metric)[0]
        text = f"Share of ordered pairs of {action} up to each {name}. Medians: {medians}."
        chart = charts.distribution(of_systems, QUANTILES.tolist(), name, text)
        better = (
            "lower is better: the curve further left" if metric == "event_error" else "higher is better: further right"
        )
        found.append(charts.for_page(chart, f"{name}, {better}"))
    return found


def _color(phase: int) -> str:
    return SCREEN_COLORS[phase % len(SCREEN_COLORS)] if phase >= 0 else UNLABELLED


def picture(fig: Figure) -> str:
    """A figure as a data URI, lossless and without a background."""
    file = io.BytesIO()
    fig.savefig(file, format="webp", dpi=120, transparent=True, pil_kwargs={"lossless": True, "method": 4})
    plt.close(fig)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
