"""The picture behind a pose, wherever one is kept: the clip's video, else the store of crops, else none."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.frame_store import FrameStore
from pipeline.sequence import PoseSequences
from pipeline.video import frames as decode


class Picture(NamedTuple):
    """image: (H, W, 3) uint8 RGB. extent: left, right, bottom, top of it in the pixels of the poses, y down."""

    image: np.ndarray
    extent: tuple[float, float, float, float]


def picture(sequences: PoseSequences, n: int, frame: int, crops: FrameStore | None) -> Picture | None:
    """What was filmed in a frame of sequence n, or None. crops: of these sequences, if there are any."""
    video = sequences.videos[n]
    row = sequences.frames(n).start + frame
    if video and sequences.poses != "projected" and Path(video).exists():
        images: Iterator[np.ndarray] = decode(Path(video), sequences.video_frames[row : row + 1])
        image = next(images)
        width, height = sequences.frame_size[n] if sequences.frame_size[n].all() else image.shape[1::-1]
        return Picture(image, (-0.5, width - 0.5, height - 0.5, -0.5))
    if crops is None:
        return None
    left, top, width, height = crops.boxes[n].tolist()
    extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    return Picture(crops.frames(slice(row, row + 1))[0], extent)
