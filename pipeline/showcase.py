"""The pictures of a report: an alignment of two validation videos, by embedding and by clock; the losses."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.embedded import load_embedding, seed_files
from pipeline.figures import alignment, loss_curves
from pipeline.metrics.clips import Clips, labelled_clips
from pipeline.metrics.event_error import event_errors
from pipeline.metrics.kendall import nearest_frames
from pipeline.sequence import PoseSequences

NUM_COLUMNS = 11


def mean_event_errors(clips: Clips) -> np.ndarray:
    """(N, N) mean event error of each ordered pair in % of the other clip; NaN on the diagonal and without shared events."""
    errors = event_errors(clips, tolerance=0)
    mean = np.divide(errors.percent, errors.count, out=np.full_like(errors.percent, np.nan), where=errors.count > 0)
    np.fill_diagonal(mean, np.nan)
    return mean


def ranked_pairs(scores: np.ndarray) -> list[tuple[int, int]]:
    """Query and other video of the ordered pairs that have a score, the lowest first; scores (N, N), NaN for none."""
    order = np.argsort(scores, axis=None, kind="stable")[: np.isfinite(scores).sum()]  # NaN last
    return [(int(query), int(other)) for query, other in zip(*np.unravel_index(order, scores.shape), strict=True)]


def median_pair(clips: Clips) -> tuple[int, int]:
    """Query and other video of the ordered pair whose event error is the median: neither a lucky nor a bad one."""
    pairs = ranked_pairs(mean_event_errors(clips)) if clips.num_events else []
    return pairs[len(pairs) // 2] if pairs else (0, 1)


def matches(clips: Clips, query: int, other: int, num_columns: int) -> dict[str, np.ndarray]:
    """Frames of a query evenly through it, `shown`; those of another video that the features, `matched`, and t/T, `by_clock`,
    hold for the same moments."""
    length, other_length = (int(clips.lengths[n]) for n in (query, other))
    shown = np.linspace(0, length - 1, num_columns).round().astype(int)
    queries = clips.features[clips.frames(query)][shown]
    matched = nearest_frames(queries, clips.features[clips.frames(other)], np.array([0, other_length]))[:, 0]
    by_clock = np.minimum(shown * other_length // length, other_length - 1)
    return {"shown": shown, "matched": matched, "by_clock": by_clock}


def draw_alignment(sequences: PoseSequences, embeddings: Path, action: str, path: Path) -> None:
    """Write a PNG: frames of one video, the nearest frames of another by the first seed's embedding, and by t/T.

    embeddings: folder of one action and input of what `evaluate_dataset` wrote.
    """
    numbers = sequences.where(action, "val")
    clips = labelled_clips(sequences, numbers)
    first = next(iter(seed_files(embeddings).values()))
    clips = replace(clips, features=load_embedding(first, clips.names))
    query, other = median_pair(clips)
    frames_of = matches(clips, query, other, NUM_COLUMNS)
    poses = {}
    for label, n in (("query", query), ("other", other)):
        frames = sequences.frames(numbers[n])
        poses[label] = (sequences.joints[frames], sequences.confidence[frames], sequences.phase[frames])
    rows = dict(zip(("one person", "another, by LA2DS", "another, by the clock"), frames_of.values(), strict=True))
    row_of = dict(zip(rows, ("query", "other", "other"), strict=True))
    fig, _ = alignment({label: list(frames) for label, frames in rows.items()}, poses, sequences.skeleton, row_of)
    fig.savefig(path, dpi=110, metadata={"Software": None})


def draw_losses(networks: dict[tuple[str, str, str], list[dict[str, str]]], path: Path) -> None:
    """Write a PNG: the losses of both stages, one panel an action; networks: (action, input, seed) -> rows of loss.csv."""
    panels: dict[str, dict[tuple[str, str], list[float]]] = {}
    for (action, seen, seed), rows in networks.items():
        panels.setdefault(action, {})[seen, seed] = [float(row["loss"]) for row in rows]
    fig, _ = loss_curves(panels)
    fig.savefig(path, dpi=110, metadata={"Software": None})
