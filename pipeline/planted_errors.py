"""Errors planted into performances, so that it can be measured whether they are found: a skipped phase, a wrong limb, a pause.

Shapes: T frames before and U after, K joints.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.clip import Clip
from pipeline.skeleton import Skeleton

PAUSE_S = 1.0
MARGIN_S = 0.2  # what counts as affected on either side of a cut
LIMB_SHARE = (0.25, 0.45)  # of the clip's frames
LIMB_DEG = (40.0, 80.0)
RAMP_S = 0.15
MOVES = 0.5  # of the largest displacement of a phase: what counts as a movement


@dataclass(frozen=True, eq=False)
class Planted:
    """The changed clip. frames: (U,) bool, those affected. joints: (K,) bool, those moved, all where the error is one of time."""

    clip: Clip
    kind: str
    frames: np.ndarray
    joints: np.ndarray


def skipped_phase(clip: Clip, skeleton: Skeleton, rng: np.random.Generator) -> Planted:
    """One movement is missing: its frames are cut out. Affected: 0.2 s on either side of the cut."""
    start, stop = _movement(clip, rng)
    kept = np.r_[0:start, stop : len(clip.joints)]
    margin = max(1, round(MARGIN_S * clip.fps))
    frames = np.zeros(len(kept), dtype=bool)
    frames[max(0, start - margin) : start + margin] = True
    return Planted(_taken(clip, kept), "skipped phase", frames, np.ones(skeleton.num_joints, dtype=bool))


def pause(clip: Clip, skeleton: Skeleton, rng: np.random.Generator) -> Planted:
    """The person stands still for a second amidst a movement; joints go on to be measured as noisily as elsewhere."""
    start, stop = _movement(clip, rng)
    frame = int(rng.integers(start + (stop - start) // 4, stop - (stop - start) // 4))
    held = round(PAUSE_S * clip.fps)
    kept = np.r_[0:frame, np.full(held, frame), frame : len(clip.joints)]
    frames = np.zeros(len(kept), dtype=bool)
    frames[frame : frame + held] = True
    found = _taken(clip, kept)
    noise = _noise(clip) * rng.standard_normal((held, *clip.joints.shape[1:]))
    found.joints[frame : frame + held] += noise - noise.mean(axis=0)
    seen = clip.confidence[rng.integers(len(clip.joints), size=held)] > 0  # as often missing as elsewhere
    found.confidence[frame : frame + held] *= seen
    return Planted(found, "pause", frames, np.ones(skeleton.num_joints, dtype=bool))


def wrong_limb(clip: Clip, skeleton: Skeleton, rng: np.random.Generator) -> Planted:
    """An arm or a leg is turned about its first joint by 40 to 80 degrees, in the picture, for a third of the clip or so."""
    chains = [chain for chain in skeleton.chains.values() if len(chain) == max(map(len, skeleton.chains.values()))]
    root, *moved = chains[rng.integers(len(chains))]
    num_frames = len(clip.joints)
    length = round(num_frames * rng.uniform(*LIMB_SHARE))
    start = int(rng.integers(num_frames - length + 1))
    frames = (np.arange(num_frames) >= start) & (np.arange(num_frames) < start + length)
    edge = np.minimum(np.arange(num_frames) - start + 1, start + length - np.arange(num_frames))
    angle = np.radians(rng.uniform(*LIMB_DEG)) * rng.choice([-1, 1]) * np.clip(edge / (RAMP_S * clip.fps), 0, 1)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    joints, confidence = clip.joints.copy(), clip.confidence.copy()
    x, y = np.moveaxis(clip.joints[:, moved] - clip.joints[:, [root]], 2, 0)
    joints[:, moved] = clip.joints[:, [root]] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)
    confidence[np.ix_(frames & (confidence[:, root] == 0), moved)] = 0  # turned about nothing
    chosen = np.zeros(skeleton.num_joints, dtype=bool)
    chosen[moved] = True
    return Planted(replace(clip, joints=joints, confidence=confidence), "wrong limb", frames, chosen)


Plant = Callable[[Clip, Skeleton, np.random.Generator], Planted]
ERRORS: dict[str, Plant] = {"skipped phase": skipped_phase, "wrong limb": wrong_limb, "pause": pause}


def _movement(clip: Clip, rng: np.random.Generator) -> tuple[int, int]:
    """First frame and end of a phase, neither the first nor the last, in which the person moves far, drawn at random."""
    bounds = [event for event in clip.events if event >= 0]
    phases = [(a, b) for a, b in pairwise(bounds) if b - a >= 2] or [(len(clip.joints) // 3, 2 * len(clip.joints) // 3)]
    far = np.array([np.abs(clip.joints[b] - clip.joints[a]).mean() for a, b in phases])
    moving = [phase for phase, distance in zip(phases, far, strict=True) if distance >= MOVES * far.max()]
    return moving[rng.integers(len(moving))]


def _noise(clip: Clip) -> float:
    """The standard deviation of the joints' measurement, per coordinate: of the median second difference."""
    seen = (clip.confidence[:-2] > 0) & (clip.confidence[1:-1] > 0) & (clip.confidence[2:] > 0)
    second = np.abs(np.diff(clip.joints, n=2, axis=0))[seen]
    return float(np.median(second) / (0.6745 * np.sqrt(6))) if second.size else 0.0


def _taken(clip: Clip, kept: np.ndarray) -> Clip:
    """The clip with some of its frames, one after the other; its video shows others now."""
    events = tuple(int(np.searchsorted(kept, event)) if event >= 0 else -1 for event in clip.events)
    events = tuple(e if e < len(kept) and e not in events[:n] else -1 for n, e in enumerate(events))
    return replace(
        clip,
        joints=clip.joints[kept].copy(),
        confidence=clip.confidence[kept].copy(),
        events=events,
        video="",
        video_frames=None,
    )
