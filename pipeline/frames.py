"""Pictures of a sequence: crops of its video around the person (paper section 3.4).

Shapes: T frames, N sequences, H x W pixels of a picture, S of a crop.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Config, InputError
from pipeline.crop import crop_boxes, grown
from pipeline.sequence import PoseSequences
from pipeline.video import frames as decode


class FramesConfig(Config):
    """size_px: side of a crop. padding: share of the heatmaps' crop box that is added on every side, since heads, hands
    and feet reach beyond their joints."""

    size_px: int = Field(112, ge=16)
    padding: float = Field(0.1, ge=0)


class Pictures(Protocol):
    """Where the pictures of a data set come from; pickled into dask's processes."""

    @property
    def stamp(self) -> list:
        """JSON-ready; other when the pictures are others. A store that is half made of those is not taken up."""

    def crops(self, n: int, frames: slice, box: np.ndarray, size_px: int) -> np.ndarray:
        """(T, S, S, 3) uint8 RGB: `box` (x0, y0, width, height) of these frames of sequence n, each axis scaled by itself."""


def frame_boxes(sequences: PoseSequences, padding: float, keep_aspect: bool, config: FramesConfig) -> np.ndarray:
    """(N, 4) float32: the heatmaps' crop boxes, of their own padding and keep_aspect, grown by `config.padding`."""
    boxes = crop_boxes(sequences.joints, sequences.confidence, sequences.offsets, padding, keep_aspect)
    return grown(boxes, config.padding)


def cut(image: np.ndarray, box: np.ndarray, size_px: int) -> np.ndarray:
    """(S, S, 3) uint8 of a picture (H, W, 3): the box rounded outward to whole pixels, black beyond the picture.

    Along an axis that shrinks, a pixel is the mean of those that it covers; along one that grows, it is interpolated.
    """
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[:2] + box[2:]).astype(int)
    (x0, y0), (x1, y1) = low, np.maximum(high, low + 1)
    inside = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    top, left = min(max(-y0, 0), y1 - y0), min(max(-x0, 0), x1 - x0)
    bottom, right = y1 - y0 - top - inside.shape[0], x1 - x0 - left - inside.shape[1]
    whole = np.pad(inside, [(top, bottom), (left, right), (0, 0)]) if top or left or bottom or right else inside
    height, width = (min(side, size_px) for side in whole.shape[:2])
    shrunk = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size_px, size_px), interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class VideoPictures:
    """The videos, or folders of frames, that the poses of a store were seen in.

    videos: of each sequence; video_frames: of each, (T,) numbers of the frames that its rows show. sizes: (N, 2) width
    and height that the poses are in, 0 if unknown.
    """

    videos: tuple[str, ...]
    video_frames: tuple[np.ndarray, ...]
    sizes: np.ndarray

    @property
    def stamp(self) -> list:
        found = ((Path(video), Path(video).stat()) for video in self.videos)
        return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in found]

    def crops(self, n: int, frames: slice, box: np.ndarray, size_px: int) -> np.ndarray:
        path, found = Path(self.videos[n]), []
        for image in decode(path, self.video_frames[n][frames]):
            size = image.shape[1::-1]
            if self.sizes[n].any() and tuple(self.sizes[n]) != size:
                raise InputError(
                    f"Expected poses in the pixels of their video, {size[0]}x{size[1]}, but they are in"
                    f" {self.sizes[n][0]}x{self.sizes[n][1]} (projected 3D poses?) for {path}. Leave pictures out of its inputs."
                )
            found.append(cut(image, box, size_px))
        return np.stack(found)


def video_pictures(sequences: PoseSequences) -> VideoPictures:
    """Raises InputError where a sequence has no video, or one that is not there."""
    lacking = [name for name, video in zip(sequences.names, sequences.videos, strict=True) if not video]
    if lacking:
        raise InputError(
            f"Expected a video for each sequence, but got none for {len(lacking)} of {len(sequences)}, e.g."
            f" {lacking[0]!r}, of data set {sequences.dataset!r}. Add the videos, or leave pictures out of its inputs."
        )
    for name, video in zip(sequences.names, sequences.videos, strict=True):
        if not Path(video).exists():
            raise InputError(f"Expected the video of {name!r}, but there is none at {video}. Put it back.")
    numbers = tuple(sequences.video_frames[start:stop] for start, stop in pairwise(sequences.offsets.tolist()))
    return VideoPictures(sequences.videos, numbers, sequences.frame_size)
