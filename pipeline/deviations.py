"""Where a performance departs from normal ones, in time and by joint: what a coach looks for, and anomaly detection.

A clip is laid along each normal clip. Its embedding, its tempo and each joint are compared with theirs at the same
moment, and what comes out with how far each normal clip is from the others there (leave-one-out).
Shapes: R normal clips, T frames of a clip, D feature width, K joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.config import InputError
from pipeline.warping import warp_path

Alignment = Literal["dtw", "clock"]

NEAREST = 5  # normal clips that decide: those most like this one, for views and bodies differ
LEAST = 3  # normal clips without which there is no spread to compare with
TEMPO_S = 0.3  # over which tempo is measured
FLOOR = 0.1  # of the spread over all frames: what the spread at one moment counts as at least
USUAL_PERCENT = 99.0  # of normal frames are below 1
KINDS = ("pose", "tempo", "joints")


@dataclass(frozen=True, eq=False)
class Motion:
    """features (T, D). pose (T, K, 2): as `body_coordinates` says, NaN where never seen. fps: of the frames."""

    features: np.ndarray
    pose: np.ndarray
    fps: float


@dataclass(frozen=True, eq=False)
class Deviation:
    """How far each frame is from normal: 1 is the score that 1 % of the normal frames reach, its parts are on the same scale.

    pose, tempo (T,); joints (T, K). slower (T,) bool: the tempo is below normal rather than above. normal, frame (T,): the
    normal clip most like this one, and its frame of the same moment.
    """

    pose: np.ndarray
    tempo: np.ndarray
    joints: np.ndarray
    slower: np.ndarray
    normal: int
    frame: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """(T,) the largest of pose, tempo and the joints."""
        return np.maximum.reduce([self.pose, self.tempo, self.joints.max(axis=1)])

    @property
    def kind(self) -> list[str]:
        """Which of KINDS is the largest, frame by frame."""
        parts = np.stack([self.pose, self.tempo, self.joints.max(axis=1)])
        return [KINDS[i] for i in parts.argmax(axis=0)]


def body_coordinates(joints: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """(T, K, 2): joints (T, K, 2) about the frame's median joint, in units of the clip's median distance from it.

    A missing joint is interpolated in time, held at the ends, and at the middle if never seen. Raises InputError for a clip
    without size: no joint is ever seen, or half of them lie in one place.
    """
    seen = confidence > 0
    if not seen.any():
        raise InputError("Expected joints, but got a clip in which none is ever seen. Leave it out.")
    found = joints.astype(np.float64)
    for k in range(joints.shape[1]):
        known = np.flatnonzero(seen[:, k])
        for axis in range(2):
            found[:, k, axis] = (
                np.interp(np.arange(len(joints)), known, joints[known, k, axis]) if len(known) else np.nan
            )
    found = found - np.nanmedian(found, axis=1, keepdims=True)
    size = np.nanmedian(np.linalg.norm(found, axis=2))
    if not size:
        raise InputError("Expected joints that lie apart, but got a clip with half of them in one place. Leave it out.")
    return np.nan_to_num(found / size)


class Normals:
    """R normal clips, compared with each other once. Raises InputError for fewer than 3."""

    def __init__(self, clips: Sequence[Motion], alignment: Alignment = "dtw"):
        if len(clips) < LEAST:
            raise InputError(f"Expected at least {LEAST} normal clips, but got {len(clips)}. Name more.")
        self.clips, self.alignment = clips, alignment
        self._own = [self._compare(clip, leave=n) for n, clip in enumerate(clips)]
        spread = [np.concatenate([own.values[kind] for own in self._own]).std() for kind in KINDS]
        self._floor = dict(zip(KINDS, FLOOR * np.array(spread) + np.finfo(float).tiny, strict=True))
        unusual = [self._unusual(own) for own in self._own]
        reached = {kind: np.concatenate([_size(kind, z[kind]) for z in unusual]) for kind in KINDS}
        # One limit for all joints: one that never moves is not held to less.
        worst = {kind: size if size.ndim == 1 else size.max(axis=1) for kind, size in reached.items()}
        limits = {
            kind: max(np.percentile(size, USUAL_PERCENT), np.finfo(np.float32).eps) for kind, size in worst.items()
        }
        # More than 1 % of the frames are beyond one of three limits: all are raised until 1 % are.
        score = np.maximum.reduce([worst[kind] / limits[kind] for kind in KINDS])
        common = max(np.percentile(score, USUAL_PERCENT), np.finfo(np.float32).eps)
        self._limit = {kind: common * limit for kind, limit in limits.items()}
        lengths = [len(clip.features) for clip in clips]
        self._highest = np.array([part.max() for part in np.split(score / common, np.cumsum(lengths)[:-1])])

    def deviation(self, clip: Motion, leave: int | None = None) -> Deviation:
        """How a clip departs from them; leave: which of them it is itself, if it is one."""
        found = self._compare(clip, leave)
        unusual = self._unusual(found)
        pose, tempo, joints = (_size(kind, unusual[kind]) / self._limit[kind] for kind in KINDS)
        nearest = found.order[0]
        normal = int(found.others[nearest])
        return Deviation(pose, tempo, joints, unusual["tempo"] < 0, normal, found.frames[nearest])

    def limit(self, leave: int | None = None) -> float:
        """The highest score that any normal clip reaches, `leave` aside: one of R more would be beyond it once in R + 1."""
        return float(np.delete(self._highest, [] if leave is None else leave).max())

    def _compare(self, clip: Motion, leave: int | None) -> "_Compared":
        others = [n for n in range(len(self.clips)) if n != leave]
        distances, places = zip(*(_aligned(clip, self.clips[n], self.alignment) for n in others), strict=True)
        distances, places = np.stack(distances), np.stack(places)
        frames = np.rint(places).astype(np.int64)
        off = np.stack(
            [np.linalg.norm(clip.pose - self.clips[n].pose[frames[r]], axis=2) for r, n in enumerate(others)]
        )
        # By poses, not by embedding, which is made to see through views, bodies and sides.
        order = np.argsort(off.mean(axis=(1, 2)), kind="stable")[:NEAREST]
        tempo = np.median([_tempo(places[r], clip.fps, self.clips[others[r]].fps) for r in order], axis=0)
        values = {"pose": distances[order].mean(axis=0), "tempo": tempo, "joints": off[order].mean(axis=0)}
        return _Compared(values, np.array(others), order, frames)

    def _unusual(self, found: "_Compared") -> dict[str, np.ndarray]:
        """KIND -> how many standard deviations of the normal clips at the same moment each value is from their mean."""
        result = {}
        for kind, value in found.values.items():
            there = np.stack([self._own[n].values[kind][found.frames[r]] for r, n in enumerate(found.others)])
            result[kind] = (value - there.mean(axis=0)) / (there.std(axis=0) + self._floor[kind])
        return result


@dataclass(frozen=True, eq=False)
class _Compared:
    """values: KIND -> (T,) or (T, K). others (R,): the normal clips. order: places in `others` of the nearest, nearest
    first. frames (R, T): of each, at the same moments."""

    values: dict[str, np.ndarray]
    others: np.ndarray
    order: np.ndarray
    frames: np.ndarray


def _size(kind: str, z: np.ndarray) -> np.ndarray:
    """Tempo departs either way, a distance upwards."""
    return np.abs(z) if kind == "tempo" else np.maximum(z, 0)


def _aligned(a: Motion, b: Motion, alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    """(T,) mean distance of each frame of a to those of b at the same moment, and (T,) the mean of their numbers."""
    if alignment == "dtw":
        i, j = warp_path(a.features, b.features).T
    else:
        share = np.linspace(0, 1, max(len(a.features), len(b.features)))
        i, j = (np.rint(share * (len(part) - 1)).astype(np.int64) for part in (a.features, b.features))
    count = np.bincount(i)
    off = np.linalg.norm(a.features[i].astype(np.float64) - b.features[j], axis=1)
    return np.bincount(i, weights=off) / count, np.bincount(i, weights=j) / count


def _tempo(places: np.ndarray, fps: float, normal_fps: float) -> np.ndarray:
    """(T,) log2 of how fast another clip goes by, in its seconds per second of this one, about each frame.

    places (T,): its frames at the same moments. One frame more on either side keeps what stands still finite.
    """
    half = max(1, round(TEMPO_S * fps / 2))
    now = np.arange(len(places))
    first, last = np.maximum(now - half, 0), np.minimum(now + half, len(places) - 1)
    return np.log2((places[last] - places[first] + 1) / (last - first + 1) * fps / normal_fps)


def stretches(deviation: Deviation, fps: float, join_s: float = 0.1) -> list[tuple[int, int]]:
    """First frame and end of each run of frames beyond 1, runs less than join_s apart together, the worst first."""
    score = deviation.score
    beyond = np.flatnonzero(score > 1)
    if len(beyond) == 0:
        return []
    breaks = np.flatnonzero(np.diff(beyond) > max(1, join_s * fps)) + 1
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(beyond, breaks)]
    return sorted(runs, key=lambda run: -score[slice(*run)].max())
