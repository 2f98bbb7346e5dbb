"""What is in a pose store: counts, lengths, what is missing, labelled and left out, and where the poses came from."""

import re
from collections import defaultdict
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.sequence import PoseSequences


@dataclass(frozen=True)
class Spread:
    """The smallest, the middle and the largest of some numbers."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class Part:
    """The sequences of one action in one split.

    frames: their sum. length: frames of a sequence. seconds: of a sequence, by its own fps. labelled: sequences with at
    least one key event. nobody_percent: share of the frames in which no joint was found.
    """

    action: str
    split: str
    sequences: int
    frames: int
    length: Spread
    seconds: Spread
    fps: Spread
    labelled: int
    nobody_percent: float


@dataclass(frozen=True)
class Joint:
    """One joint over all frames. missing_percent: frames without it. confidence: mean where it was found, None if never."""

    name: str
    missing_percent: float
    confidence: float | None


@dataclass(frozen=True)
class Reason:
    """One kind of reason to leave sequences out, as the first of them has it, and their names."""

    reason: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """All that `la2ds info` tells. events: action -> key event -> number of sequences that have it."""

    dataset: str
    skeleton: str
    dimensions: int
    poses: str
    labels: str
    sequences: int
    frames: int
    seconds: float
    with_video: int
    nobody_percent: float
    missing_percent: float
    parts: tuple[Part, ...]
    joints: tuple[Joint, ...]
    events: dict[str, dict[str, int]]
    left_out: tuple[Reason, ...]
    provenance: dict[str, str]

    def to_dict(self) -> dict:
        """A JSON-ready dictionary of all of it."""
        return asdict(self)


def inspect(sequences: PoseSequences) -> Inspection:
    """Count what is there and what is not, by action and split in stored order."""
    found = sequences.confidence > 0
    parts = {
        (action, split): [n for n in sequences.where(action) if sequences.splits[n] == split]
        for action in dict.fromkeys(sequences.actions)
        for split in ("train", "val")
    }
    return Inspection(
        dataset=sequences.dataset,
        skeleton=sequences.skeleton.name,
        dimensions=sequences.joints.shape[2],
        poses=sequences.poses,
        labels=sequences.labels,
        sequences=len(sequences),
        frames=sequences.num_frames,
        seconds=round(float((sequences.lengths / sequences.fps).sum()), 3),
        with_video=sum(bool(video) for video in sequences.videos),
        nobody_percent=_percent(~found.any(axis=1)),
        missing_percent=_percent(~found),
        parts=tuple(_part(sequences, *key, numbers) for key, numbers in parts.items() if numbers),
        joints=tuple(
            Joint(name, _percent(~seen), round(float(confidence[seen].mean()), 3) if seen.any() else None)
            for name, seen, confidence in zip(sequences.skeleton.joints, found.T, sequences.confidence.T, strict=True)
        ),
        events={
            action: {
                name: int((sequences.events[sequences.where(action), number] >= 0).sum())
                for number, name in enumerate(names)
            }
            for action, names in sequences.event_names.items()
        },
        left_out=_by_reason(sequences.left_out),
        provenance=dict(sequences.provenance),
    )


def _part(sequences: PoseSequences, action: str, split: str, numbers: list[int]) -> Part:
    lengths, fps = sequences.lengths[numbers], sequences.fps[numbers].astype(np.float64)
    seen = np.concatenate([(sequences.confidence[sequences.frames(n)] > 0).any(axis=1) for n in numbers])
    return Part(
        action=action,
        split=split,
        sequences=len(numbers),
        frames=int(lengths.sum()),
        length=_spread(lengths),
        seconds=_spread(lengths / fps),
        fps=_spread(fps),
        labelled=int((sequences.events[numbers] >= 0).any(axis=1).sum()),
        nobody_percent=_percent(~seen),
    )


def _spread(values: np.ndarray) -> Spread:
    return Spread(*(round(float(value), 3) for value in (values.min(), np.median(values), values.max())))


def _percent(missing: np.ndarray) -> float:
    return round(100 * float(missing.mean()), 2)


def _by_reason(left_out: dict[str, str]) -> tuple[Reason, ...]:
    """The most frequent reason first. Reasons that differ in the sequence's own name or in numbers are one."""
    names = defaultdict(list)
    for name, reason in left_out.items():
        names[re.sub(r"\d+(\.\d+)?", "0", reason.replace(name, ""))].append(name)
    groups = [Reason(left_out[group[0]], tuple(group)) for group in names.values()]
    return tuple(sorted(groups, key=lambda group: -len(group.names)))
