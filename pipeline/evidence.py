"""What the features of one action show, for the pictures and charts of a report: pairs, neighbours, a map.

All on validation videos as they are: the clock-broken ones of `evaluate_dataset` are not kept. Shapes: N videos, F frames,
K joints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE

from pipeline.embedded import load_embedding, seed_files
from pipeline.metrics.clips import Clips, labelled_clips
from pipeline.metrics.controls import raw_pose, time_only
from pipeline.metrics.kendall import nearest_frames, pair_taus
from pipeline.sequence import PoseSequences
from pipeline.showcase import mean_event_errors

MOST_VIDEOS = 40
QUANTILES = np.linspace(0, 1, 41)


@dataclass(frozen=True, eq=False)
class ActionEvidence:
    """Validation videos of one action, at most MOST_VIDEOS of them, evenly chosen.

    numbers (N,): where they lie in `sequences`. num_videos: how many there are in all. clips: their labels and the features
    of the first system. systems: name, as `pipeline.table.system` names it -> the same clips with the features of each
    network, first seed, and of the controls that need none. tau_stride: every how many frames tau is of.
    """

    sequences: PoseSequences
    action: str
    numbers: tuple[int, ...]
    num_videos: int
    systems: dict[str, Clips]
    tau_stride: int

    @property
    def clips(self) -> Clips:
        return next(iter(self.systems.values()))

    def video(self, i: int) -> slice:
        """Where video i lies on the frame axis of `sequences`."""
        return self.sequences.frames(self.numbers[i])


def gather(
    sequences: PoseSequences, action: str, names: list[str], embeddings: Path, boxes: np.ndarray, tau_stride: int
) -> ActionEvidence:
    """embeddings: what `evaluate_dataset` wrote. names: of the systems that were trained, the one to show first. boxes (all videos, 4):
    the crops of the heatmaps, to which raw poses are relative. tau_stride: of `EvaluateConfig`."""
    every = sequences.where(action, "val")
    numbers = [every[i] for i in evenly(len(every), MOST_VIDEOS)]
    clips = labelled_clips(sequences, numbers)
    systems = {}
    for name in names:
        file = next(iter(seed_files(embeddings / action / name).values()))
        systems[name] = replace(clips, features=load_embedding(file, clips.names))
    frames = np.concatenate([np.arange(s.start, s.stop) for s in map(sequences.frames, numbers)])
    pose = raw_pose(sequences.joints[frames], sequences.confidence[frames], boxes[numbers], clips.offsets)
    systems["time_only"] = replace(clips, features=time_only(clips.lengths))
    systems["raw_pose"] = replace(clips, features=pose)
    return ActionEvidence(sequences, action, tuple(numbers), len(every), systems, tau_stride)


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of 0..count - 1, first and last among them, evenly apart."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(int)


def pair_scores(clips: Clips, tau_stride: int) -> dict[str, np.ndarray]:
    """Of ordered pairs, (N, N), NaN on the diagonal: event_error in % where there are key events; tau, unless labels are
    there that may repeat."""
    scores = {}
    if clips.num_events:
        scores["event_error"] = mean_event_errors(clips)
    if clips.num_events or not clips.labelled.any():
        scores["tau"] = pair_taus(clips, tau_stride)[0]
        np.fill_diagonal(scores["tau"], np.nan)
    return {metric: values for metric, values in scores.items() if np.isfinite(values).any()}


def distributions(scores: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, list[float]]]:
    """metric -> system -> its values at QUANTILES over pairs. scores: system -> metric -> (N, N), NaN for none."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, metrics in scores.items():
        for metric, values in metrics.items():
            quantiles = np.quantile(values[np.isfinite(values)], QUANTILES)
            found.setdefault(metric, {})[name] = quantiles.round(4).tolist()
    return found


@dataclass(frozen=True)
class Found:
    """The frame of another video that is nearest to a query. right: of the query's phase. off_percent: frames from that
    video's own key event to it, in % of its length. Both None where there is no label to tell."""

    video: int
    frame: int
    right: bool | None
    off_percent: float | None


def search(clips: Clips, video: int, frame: int, event: int | None) -> list[Found]:
    """The nearest frame of each other video, the nearest video first. event: the key event that the query frame is."""
    query = clips.offsets[video] + frame
    nearest = nearest_frames(clips.features[query : query + 1], clips.features, clips.offsets)[0]
    rows = clips.offsets[:-1] + nearest
    distances = ((clips.features[rows] - clips.features[query]) ** 2).sum(axis=1)
    found = []
    for other in np.argsort(distances, kind="stable"):
        if other == video:
            continue
        labelled = min(clips.phase[query], clips.phase[rows[other]]) >= 0
        true = -1 if event is None else int(clips.events[other, event])
        off = 100 * (int(nearest[other]) - true) / int(clips.lengths[other])
        right = bool(clips.phase[query] == clips.phase[rows[other]]) if labelled else None
        found.append(Found(int(other), int(nearest[other]), right, off if true >= 0 else None))
    return found


def frame_map(clips: Clips, most: int) -> list[dict]:
    """t-SNE of at most `most` frames: x, y, phase (-1 unlabelled), progress t / T, video, frame. Empty below four frames."""
    chosen = evenly(len(clips.features), most)
    if len(chosen) < 4:
        return []
    features = clips.features[chosen].astype(np.float64)
    perplexity = min(30, (len(chosen) - 1) / 3)
    # PCA gives a start that does not depend on chance; equal features, which have no principal axis, start at random.
    init = "pca" if features.shape[1] > 1 and np.ptp(features, axis=0).any() else "random"
    places = TSNE(perplexity=perplexity, init=init, random_state=0).fit_transform(features)
    places = (places - places.min(axis=0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
    video = clips.clip_of_frame[chosen]
    frame = chosen - clips.offsets[video]
    return [
        {
            "x": round(float(x), 3),
            "y": round(float(y), 3),
            "phase": int(clips.phase[row]),
            "progress": round(float(t / clips.lengths[n]), 2),
            "video": clips.names[n],
            "frame": int(t),
        }
        for (x, y), row, n, t in zip(places, chosen, video, frame, strict=True)
    ]
