"""Clock-breaking: validation videos cropped and time-warped at random, so that t/T tells nothing about the phase.

What comes out are source frame indices: an embedding depends on its context, so that of a broken video is computed
anew from the gathered input frames.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.clip import MIN_FRAMES
from pipeline.metrics.clips import Clips

WINDOW_SHARE = (0.5, 0.9)
LENGTH_RATIO = (0.6, 1.1)  # new frames per frame of the window: never longer than the whole video was
SPEED_OCTAVES = 1.0  # local speed swings between 1/2 and 2 times a common factor
WARP_CYCLES = (0.5, 1.5)


def break_clock(lengths: np.ndarray, seed: int) -> list[np.ndarray]:
    """For each video of T frames the (T',) int64 source frames, never falling, of its broken version.

    A random window of 50-90 % of the frames is played at a speed that swings smoothly between half and double, and
    keeps its first and last frame; at least 4 frames remain. Video n depends on T, seed and n only, so every method is
    scored on the same frames.
    """
    return [_broken_frames(int(length), np.random.default_rng((seed, n))) for n, length in enumerate(lengths)]


def _broken_frames(length: int, rng: np.random.Generator) -> np.ndarray:
    size = min(length, max(MIN_FRAMES, round(length * rng.uniform(*WINDOW_SHARE))))
    start = rng.integers(length - size + 1)
    num_frames = max(MIN_FRAMES, round(size * rng.uniform(*LENGTH_RATIO)))
    cycles, shift = rng.uniform(*WARP_CYCLES), rng.uniform()
    middle = (np.arange(num_frames - 1) + 0.5) / (num_frames - 1)  # between one new frame and the next
    speed = 2 ** (SPEED_OCTAVES * np.sin(2 * np.pi * (cycles * middle + shift)))
    position = np.concatenate([[0], np.cumsum(speed)])
    return start + np.rint(position * ((size - 1) / position[-1])).astype(np.int64)


def warp_clips(clips: Clips, indices: Sequence[np.ndarray]) -> Clips:
    """The clips with frames gathered by `break_clock` indices; labels and events follow the frames.

    An event moves to the first new frame at or after it. It is absent (-1) where its frame lies outside the window (the
    phase then starts before the clip does, or never) or no frame of its phase is left.
    """
    lengths = [len(index) for index in indices]
    source = np.concatenate([clips.offsets[n] + index for n, index in enumerate(indices)])
    phase = clips.phase[source]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    events = np.full_like(clips.events, -1)
    for n, index in enumerate(indices):
        for e, event in enumerate(clips.events[n]):
            if index[0] <= event <= index[-1]:
                frame = np.searchsorted(index, event)
                if phase[offsets[n] + frame] == e + 1:
                    events[n, e] = frame
    return replace(clips, features=clips.features[source], offsets=offsets, phase=phase, events=events)
