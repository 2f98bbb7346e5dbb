"""What every metric reads: the labelled frame features of the clips of one action, and distances between them.

Shapes: N clips, F frames of all clips together, D feature width, E key events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.config import InputError
from pipeline.sequence import PoseSequences

ROWS_PER_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Clips:
    """N clips of one action, concatenated over time.

    features (F, D) float32. offsets (N + 1,) int64: clip n is frames offsets[n]:offsets[n + 1]. phase (F,) int16, -1
    where unlabelled. events (N, E) int32: event e is the first frame of phase e + 1 within its clip, -1 if absent.
    fps (N,) float32. E = 0 with labels means labels that are no sequence of key events (they may repeat).
    """

    features: np.ndarray
    offsets: np.ndarray
    phase: np.ndarray
    events: np.ndarray
    fps: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) frames of each clip."""
        return np.diff(self.offsets)

    @property
    def num_events(self) -> int:
        return self.events.shape[1]

    @property
    def num_phases(self) -> int:
        """E + 1, or more where labels come without key events."""
        return 1 + max(self.num_events, int(self.phase.max(initial=0)))

    @property
    def clip_of_frame(self) -> np.ndarray:
        """(F,) the clip that each frame belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def labelled(self) -> np.ndarray:
        """(F,) bool: the frames that have a phase."""
        return self.phase >= 0

    def frames(self, n: int) -> slice:
        """Where clip n lies on the frame axis."""
        return slice(int(self.offsets[n]), int(self.offsets[n + 1]))

    def per_clip(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64 sums of frame values (F,) over each clip."""
        return np.bincount(self.clip_of_frame, weights=values, minlength=len(self))


def labelled_clips(sequences: PoseSequences, numbers: list[int]) -> Clips:
    """The labels of some sequences of one action; their features (zeros here) are still to come."""
    frames = np.concatenate([np.arange(s.start, s.stop) for s in map(sequences.frames, numbers)])
    num_events = len(sequences.event_names[sequences.actions[numbers[0]]])
    return Clips(
        features=np.zeros((len(frames), 1), np.float32),
        offsets=np.concatenate([[0], np.cumsum(sequences.lengths[numbers])]).astype(np.int64),
        phase=sequences.phase[frames],
        events=sequences.events[numbers, :num_events],
        fps=sequences.fps[numbers],
        names=tuple(sequences.names[n] for n in numbers),
    )


def check_features(clips: Clips, where: str) -> None:
    """Raises InputError for the first frame whose feature is not finite: every comparison with NaN is false."""
    finite = np.isfinite(clips.features).all(axis=1)
    if not finite.all():
        frame = int(np.argmin(finite))
        n = int(clips.clip_of_frame[frame])
        raise InputError(
            f"Expected finite features, but got NaN or infinity in {where}, clip {clips.names[n]!r}, "
            f"frame {frame - int(clips.offsets[n])}. Train again with a lower learning rate."
        )


def distance_factors(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float64 (Q, D + 2) and (D + 2, F) whose product is the squared Euclidean distance of queries (Q, D) to keys (F, D).

    The product is |q|^2 - 2 q.k + |k|^2. Float64 and centring keep what cancels in it small; the error that remains is
    bounded by `distance_error`.
    """
    centre = keys.mean(axis=0, dtype=np.float64)
    queries, keys = queries - centre, keys - centre
    left = np.column_stack([-2 * queries, (queries**2).sum(axis=1), np.ones(len(queries))])
    right = np.column_stack([keys, np.ones(len(keys)), (keys**2).sum(axis=1)]).T
    return left, right


def distance_blocks(queries: np.ndarray, keys: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances (Q, F) in blocks of rows that fit into memory: each slice of queries with its (rows, F) float64."""
    left, right = distance_factors(queries, keys)
    for start in range(0, len(queries), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        yield rows, left[rows] @ right


def distance_error(left: np.ndarray, right: np.ndarray) -> float:
    """A bound on the rounding error of any product of `distance_factors`, in the unit of squared distances."""
    largest = max(left[:, -2].max(initial=0), right[-1].max(initial=0))
    return float(8 * len(right) * np.finfo(np.float64).eps * largest)
