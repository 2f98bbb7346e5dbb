"""Crops of the pictures of a data set in one sharded Zarr store, frame by frame beside its pose store."""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from pipeline.config import InputError
from pipeline.frames import FramesConfig, Pictures
from pipeline.sequence import PoseSequences
from pipeline.shards import Scheduler, create_array, created, mark_created, num_bytes, read_frames, write_shards
from pipeline.store import check, content_hash, finish, open_partial, open_store, write_json

KIND = "frames"
UNUSED = "unused.json"
FRAMES_PER_CHUNK = 16
FRAMES_PER_SHARD = 512
# Lossless, and in the shards of Zarr 3: kept codecs for JPEG are of Zarr 2 alone, a file for each frame. On real crops JPEG
# (quality 90, 38 dB) is half as large and, decoded by itself, takes 1.5 times as long to read (benchmarks/frames.py).
# Shuffles and LZ4 make real crops larger; level 9 makes them 3 % smaller at half the writing speed.
COMPRESSOR = ZstdCodec(level=3, checksum=True)


@dataclass(frozen=True)
class WriteSummary:
    """What `write_frames` did; num_bytes is the finished store."""

    num_frames: int
    num_shards: int
    shards_resumed: int
    num_bytes: int
    seconds: float


def write_frames(
    sequences: PoseSequences,
    source: Path,
    path: Path,
    pictures: Pictures,
    boxes: np.ndarray,
    config: FramesConfig,
    scheduler: Scheduler = "processes",
    workers: int | None = None,
) -> WriteSummary:
    """Crop the pictures of every frame of `sequences`, which was read from the store `source`, into a store at `path`.

    `frames` (F, S, S, 3) uint8 RGB, frames as in `sequences`; `boxes` (N, 4) float32 as of `frame_boxes`. Each shard is
    made by one task, as in `write_heatmaps`, and a run that was cut off is taken up where it stopped.
    """
    began = time.perf_counter()
    num_frames, size_px = sequences.num_frames, config.size_px
    fingerprint = {"poses": content_hash(source), "config": config.model_dump(), "boxes": boxes.tolist()}
    fingerprint |= {"pictures": pictures.stamp}
    partial = open_partial(path, fingerprint)
    if not created(partial):
        group = zarr.open_group(partial, mode="a", zarr_format=3)
        shape = (num_frames, size_px, size_px, 3)
        create_array(group, KIND, shape, FRAMES_PER_CHUNK, FRAMES_PER_SHARD, COMPRESSOR)
        group.create_array("boxes", shape=boxes.shape, chunks=boxes.shape, dtype=np.float32, overwrite=True)[...] = (
            boxes
        )
        group.update_attributes({"la2ds_kind": KIND, "dataset": sequences.dataset, "config": config.model_dump()})
        mark_created(partial)

    def make(shard: slice) -> tuple:
        return pictures, _parts(sequences.offsets, shard), boxes, size_px

    resumed = write_shards(partial, KIND, num_frames, FRAMES_PER_SHARD, make, _draw, scheduler, workers)
    finish(partial, path, {"poses": source})
    return WriteSummary(
        num_frames=num_frames,
        num_shards=-(-num_frames // FRAMES_PER_SHARD),
        shards_resumed=resumed,
        num_bytes=num_bytes(path),
        seconds=time.perf_counter() - began,
    )


def write_unused(path: Path, source: Path) -> None:
    """In place of a store, for a data set of which no input needs pictures."""
    partial = open_partial(path, {"poses": content_hash(source), "unused": True})
    write_json(partial / UNUSED, {"reason": "no input of the data set needs pictures"})
    finish(partial, path, {"poses": source})


def _parts(offsets: np.ndarray, shard: slice) -> list[tuple[int, slice]]:
    """The sequences of which a shard holds frames, and which frames, counted in the sequence."""
    parts = []
    for n, (start, stop) in enumerate(pairwise(offsets.tolist())):
        low, high = max(start, shard.start), min(stop, shard.stop)
        if low < high:
            parts.append((n, slice(low - start, high - start)))
    return parts


def _draw(pictures: Pictures, parts: list[tuple[int, slice]], boxes: np.ndarray, size_px: int) -> np.ndarray:
    return np.concatenate([pictures.crops(n, frames, boxes[n], size_px) for n, frames in parts])


class FrameStore:
    """A store that `write_frames` wrote, open for reading.

    Raises InputError as `HeatmapStore` does, and where the stage found that no input needs pictures.
    """

    def __init__(self, path: Path, poses: Path | None = None):
        made_from = {"poses": poses} if poses else None
        if (path / UNUSED).is_file():
            check(path, made_from)
            raise InputError(f"Expected pictures, but {path} was made without. Run the stage frames again.")
        self.path = path
        group = open_store(path, KIND, made_from)
        self.boxes = group["boxes"][...]
        self.config = FramesConfig(**group.attrs["config"])
        self._frames = group[KIND]

    @property
    def num_frames(self) -> int:
        return self._frames.shape[0]

    @property
    def size_px(self) -> int:
        return self.config.size_px

    def frames(self, frames: slice | range) -> np.ndarray:
        """(F, S, S, 3) uint8 RGB crops of a run of frames, as `PoseSequences.frames` gives it.

        Raises InputError if a chunk with one of them is damaged.
        """
        return read_frames(self._frames, frames, self.path)
