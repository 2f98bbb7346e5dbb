"""Heatmaps of all frames of a data set in one sharded Zarr store, drawn, compressed and written shard by shard."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from pipeline.config import InputError
from pipeline.crop import crop_boxes, to_grid
from pipeline.heatmap import RenderConfig, grid_sigma, num_channels, render
from pipeline.sequence import PoseSequences
from pipeline.shards import Scheduler, create_array, created, mark_created, num_bytes, read_frames, write_shards
from pipeline.store import content_hash, finish, open_partial, open_store

KIND = "heatmaps"
FRAMES_PER_CHUNK = 64
FRAMES_PER_SHARD = 4096
# Of levels -1 to 5, level 1 makes the smallest heatmaps or nearly so, faster than 3. Without the checksum, two of
# three flipped bits would go unnoticed.
COMPRESSOR = ZstdCodec(level=1, checksum=True)


@dataclass(frozen=True)
class WriteSummary:
    """What `write_heatmaps` did; missing_joints of num_joints joints were not drawn, num_bytes is the finished store."""

    num_frames: int
    num_channels: int
    num_joints: int
    missing_joints: int
    num_shards: int
    shards_resumed: int
    num_bytes: int
    seconds: float


def write_heatmaps(
    sequences: PoseSequences,
    source: Path,
    path: Path,
    config: RenderConfig,
    scheduler: Scheduler = "threads",
    workers: int | None = None,
) -> WriteSummary:
    """Draw every frame of `sequences`, which was read from the store `source`, into a store at `path`.

    `heatmaps` (F, C, S, S) uint8, frames as in `sequences`; `boxes` (N, 4) float32, see `crop_box`. Each shard is
    drawn and written by one task of Dask's `scheduler` on `workers` workers (default: one per core). A run that was
    cut off is taken up where it stopped, if nothing it depends on has changed; the bytes are the same in any case.
    """
    began = time.perf_counter()
    if sequences.joints.shape[2] != 2:
        raise InputError(
            f"Expected 2D poses, but got {sequences.joints.shape[2]}D ones in {source}. Project them first."
        )
    skeleton, num_frames = sequences.skeleton, sequences.num_frames
    boxes = crop_boxes(sequences.joints, sequences.confidence, sequences.offsets, config.padding, config.keep_aspect)
    box = np.repeat(boxes, sequences.lengths, axis=0)
    uv = to_grid(sequences.joints, box[:, None], config.size_px)
    sigma = grid_sigma(box, config)
    shape = (num_frames, num_channels(skeleton, config.channels), config.size_px, config.size_px)
    partial = open_partial(path, {"poses": content_hash(source), "config": config.model_dump()})
    if not created(partial):
        _create(partial, shape, boxes, sequences, config)

    def make(shard: slice) -> tuple:
        return uv[shard], sequences.confidence[shard], skeleton.limb_index, sigma[shard], config

    resumed = write_shards(partial, "heatmaps", num_frames, FRAMES_PER_SHARD, make, _draw, scheduler, workers)
    finish(partial, path, {"poses": source})
    return WriteSummary(
        num_frames=num_frames,
        num_channels=shape[1],
        num_joints=sequences.confidence.size,
        missing_joints=int((sequences.confidence == 0).sum()),
        num_shards=-(-num_frames // FRAMES_PER_SHARD),
        shards_resumed=resumed,
        num_bytes=num_bytes(path),
        seconds=time.perf_counter() - began,
    )


def _create(partial: Path, shape: tuple, boxes: np.ndarray, sequences: PoseSequences, config: RenderConfig) -> None:
    """Everything but the shards."""
    group = zarr.open_group(partial, mode="a", zarr_format=3)
    create_array(group, "heatmaps", shape, FRAMES_PER_CHUNK, FRAMES_PER_SHARD, COMPRESSOR)
    group.create_array("boxes", shape=boxes.shape, chunks=boxes.shape, dtype=np.float32, overwrite=True)[...] = boxes
    skeleton = sequences.skeleton
    names = {
        "joints": list(skeleton.joints),
        "limbs": [f"{skeleton.joints[a]}-{skeleton.joints[b]}" for a, b in skeleton.limbs],
    }
    group.update_attributes(
        {
            "la2ds_kind": KIND,
            "dataset": sequences.dataset,
            "config": config.model_dump(),
            "skeleton": skeleton.name,
            "limbs": skeleton.limb_index.tolist(),
            "channels": [name for drawn in config.channels.split("+") for name in names[drawn]],
        }
    )
    mark_created(partial)


def _draw(
    uv: np.ndarray, confidence: np.ndarray, limbs: np.ndarray, sigma: np.ndarray, config: RenderConfig
) -> np.ndarray:
    return render(uv, confidence, limbs, sigma, config.size_px, config.channels)


class HeatmapStore:
    """A store that `write_heatmaps` wrote, open for reading.

    boxes: (N, 4) float32, the crop of each sequence. config: how it was drawn. Raises InputError for a missing store,
    one of another kind, one with truncated files, or one that was not made from the pose store `poses`, if given.
    """

    def __init__(self, path: Path, poses: Path | None = None):
        group = open_store(path, KIND, {"poses": poses} if poses else None)
        self.path = path
        self.boxes = group["boxes"][...]
        self.config = RenderConfig(**group.attrs["config"])
        self._heatmaps = group["heatmaps"]

    @property
    def num_frames(self) -> int:
        return self._heatmaps.shape[0]

    @property
    def num_channels(self) -> int:
        return self._heatmaps.shape[1]

    def frames(self, frames: slice | range) -> np.ndarray:
        """(F, C, S, S) uint8 heatmaps of a run of frames, as `PoseSequences.frames` gives it.

        Raises InputError if a chunk with one of them is damaged.
        """
        return read_frames(self._heatmaps, frames, self.path)
