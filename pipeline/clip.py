"""One pose sequence as a reader found it, and what is wrong with it."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.config import InputError
from pipeline.skeleton import Skeleton

log = logging.getLogger(__name__)

MIN_FRAMES = 4
Split = Literal["train", "val"]


@dataclass(frozen=True)
class Clip:
    """One pose sequence as a reader found it.

    joints: (T, K, 2) pixels with y down, or (T, K, 3) in the data set's own units. confidence: (T, K) in [0, 1]; a
    joint with confidence 0 or NaN is missing. events: first frame of each phase but the first, 0-based, strictly
    increasing, -1 where absent; a clip with none at all is unlabelled. frame_size: (width, height) in pixels, (0, 0) if
    unknown. source: the file, for errors. video: the raw video or folder of frames, if there is one; video_frames: (T,)
    0-based frames of it that the rows show, by default the first T. times: (T,) seconds from its start at which they show
    them, by default evenly from 0; they place labels and are not stored.
    """

    name: str
    action: str
    split: Split
    joints: np.ndarray
    confidence: np.ndarray
    fps: float
    events: tuple[int, ...] = ()
    group: str = ""
    frame_size: tuple[int, int] = (0, 0)
    source: str = ""
    video: str = ""
    video_frames: np.ndarray | None = None
    times: np.ndarray | None = None


def phases_from_events(events: Iterable[int], num_frames: int) -> np.ndarray:
    """(T,) int16: the phase of frame t is the index of the last event at or before t, plus one; 0 before any.

    An absent event (-1) leaves its phase empty.
    """
    phase = np.zeros(num_frames, dtype=np.int16)
    for index, event in enumerate(events):
        if event >= 0:
            phase[event:] = index + 1
    return phase


def check_clip(clip: Clip, skeleton: Skeleton, num_events: int) -> str | None:
    """The reason to leave a clip out, or None. Raises InputError where the data are wrong rather than useless."""
    where = f"sequence {clip.name!r}" + (f" ({clip.source})" if clip.source else "")
    shape = clip.joints.shape
    if (
        len(shape) != 3
        or shape[1] != skeleton.num_joints
        or shape[2] not in (2, 3)
        or clip.confidence.shape != shape[:2]
    ):
        expected = f"joints (T, {skeleton.num_joints}, 2 or 3) for skeleton {skeleton.name!r} and confidence (T, {skeleton.num_joints})"
        raise InputError(
            f"Expected {expected}, but got {shape} and {clip.confidence.shape} in {where}. Name another skeleton."
        )
    if not clip.action or clip.action == "mean" or set(clip.action) & set("/\\"):
        raise InputError(
            f"Expected an action that can name a folder, not 'mean', but got {clip.action!r} in {where}. Rename it."
        )
    if clip.split not in ("train", "val"):
        raise InputError(f"Expected split 'train' or 'val', but got {clip.split!r} in {where}. Correct it.")
    if not (np.isfinite(clip.fps) and clip.fps > 0):
        raise InputError(f"Expected a frame rate above 0, but got {clip.fps} in {where}. Give it.")
    present = np.nan_to_num(clip.confidence, nan=0.0) > 0
    bad = present & ~np.isfinite(clip.joints).all(axis=2)
    if bad.any():
        frame, joint = np.argwhere(bad)[0]
        value = clip.joints[frame, joint].tolist()
        raise InputError(
            f"Expected finite coordinates, but got {value} for joint {skeleton.joints[joint]!r} in {where}, frame {frame}."
            " Give missing joints confidence 0."
        )
    if (outside := present & ((clip.confidence < 0) | (clip.confidence > 1))).any() or (clip.confidence < 0).any():
        frame, joint = np.argwhere(outside | (clip.confidence < 0))[0]
        value = clip.confidence[frame, joint]
        raise InputError(f"Expected confidence in [0, 1], but got {value} in {where}, frame {frame}. Rescale it.")
    if clip.video_frames is not None and clip.video_frames.shape != shape[:1]:
        raise InputError(
            f"Expected {shape[0]} numbers of video frames, but got {clip.video_frames.shape} in {where}. Give one a row."
        )
    last = -1
    if len(clip.events) not in (0, num_events):
        raise InputError(
            f"Expected {num_events} key events, but got {len(clip.events)} in {where}. Leave absent ones empty."
        )
    for number, event in enumerate(clip.events, start=1):
        if event == -1:
            continue
        if not 0 <= event < shape[0]:
            raise InputError(
                f"Expected event {number} in frames 0..{shape[0] - 1}, but got {event} in {where}. Correct it."
            )
        if event <= last:
            raise InputError(
                f"Expected event {number} after frame {last}, but got {event} in {where}. Put events in order."
            )
        last = event
    if shape[0] < MIN_FRAMES:
        return f"fewer than {MIN_FRAMES} frames ({shape[0]})"
    if not present.any():
        return "no joint in any frame"
    return None


def usable(
    clips: Iterable[Clip], skeleton: Skeleton, event_names: Mapping[str, tuple[str, ...]]
) -> tuple[list[Clip], dict[str, str]]:
    """The clips that can be used, and why the others are left out, by name. Raises InputError as `check_clip` does, and
    for two clips of one name."""
    kept: list[Clip] = []
    left_out: dict[str, str] = {}
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise InputError(
                f"Expected one sequence of each name, but got {clip.name!r} twice ({clip.source}). Rename one."
            )
        seen.add(clip.name)
        if reason := check_clip(clip, skeleton, len(event_names.get(clip.action, ()))):
            left_out[clip.name] = reason
            log.warning("left out %s: %s", clip.name, reason)
        else:
            kept.append(clip)
    return kept, left_out
