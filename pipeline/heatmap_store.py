"""Heatmaps of all frames of a data set in one sharded Zarr store, drawn, compressed and written shard by shard."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dask
import numpy as np
import zarr
from dask.callbacks import Callback
from zarr.codecs import ZstdCodec

from pipeline.config import InputError
from pipeline.crop import crop_box, to_grid
from pipeline.heatmap import RenderConfig, grid_sigma, num_channels, render
from pipeline.progress import progress_bar
from pipeline.sequence import PoseSequences
from pipeline.store import content_hash, finish, open_partial, open_store

KIND = "heatmaps"
FRAMES_PER_CHUNK = 64
FRAMES_PER_SHARD = 4096
# Of levels -1 to 5, level 1 makes the smallest heatmaps or nearly so, faster than 3. Without the checksum, two of
# three flipped bits would go unnoticed.
COMPRESSOR = ZstdCodec(level=1, checksum=True)
DONE = "done"  # a folder with one empty file per finished shard, while the store is being written


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
    scheduler: Literal["threads", "processes", "synchronous"] = "threads",
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
    boxes = np.stack(
        [
            crop_box(sequences.joints[frames], sequences.confidence[frames], config.padding, config.keep_aspect)
            for frames in map(sequences.frames, range(len(sequences)))
        ]
    )
    box = np.repeat(boxes, sequences.lengths, axis=0)
    uv = to_grid(sequences.joints, box[:, None], config.size_px)
    sigma = grid_sigma(box, config)
    shape = (num_frames, num_channels(skeleton, config.channels), config.size_px, config.size_px)
    partial = open_partial(path, {"poses": content_hash(source), "config": config.model_dump()})
    if not (partial / DONE).is_dir():
        _create(partial, shape, boxes, sequences, config)
    shards = [slice(start, start + FRAMES_PER_SHARD) for start in range(0, num_frames, FRAMES_PER_SHARD)]
    pending = [shard for shard in shards if not _marker(partial, shard).is_file()]
    tasks = [
        dask.delayed(_write_shard)(
            partial, shard, uv[shard], sequences.confidence[shard], skeleton.limb_index, sigma[shard], config
        )
        for shard in pending
    ]
    with progress_bar("frames") as progress:
        bar = progress.add_task("heatmaps", total=sum(len(uv[shard]) for shard in pending))
        with Callback(posttask=lambda key, num_written, *_: progress.advance(bar, num_written)):
            dask.compute(*tasks, scheduler=scheduler, num_workers=workers)
    for unfinished in list(partial.rglob("*.partial")):  # zarr's temporary files, if a write was cut off
        unfinished.unlink()
    shutil.rmtree(partial / DONE)
    finish(partial, path, {"poses": source})
    return WriteSummary(
        num_frames=num_frames,
        num_channels=shape[1],
        num_joints=sequences.confidence.size,
        missing_joints=int((sequences.confidence == 0).sum()),
        num_shards=len(shards),
        shards_resumed=len(shards) - len(pending),
        num_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        seconds=time.perf_counter() - began,
    )


def _create(partial: Path, shape: tuple, boxes: np.ndarray, sequences: PoseSequences, config: RenderConfig) -> None:
    """Everything but the shards; the folder of markers comes last and says that this is whole."""
    group = zarr.open_group(partial, mode="a", zarr_format=3)
    num_chunks = min(FRAMES_PER_SHARD // FRAMES_PER_CHUNK, -(-shape[0] // FRAMES_PER_CHUNK))
    group.create_array(
        "heatmaps",
        shape=shape,
        chunks=(FRAMES_PER_CHUNK, *shape[1:]),
        shards=(num_chunks * FRAMES_PER_CHUNK, *shape[1:]),
        dtype=np.uint8,
        compressors=COMPRESSOR,
        overwrite=True,
    )
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
    (partial / DONE).mkdir()


def _marker(partial: Path, shard: slice) -> Path:
    return partial / DONE / str(shard.start)


def _write_shard(
    partial: Path,
    shard: slice,
    uv: np.ndarray,
    confidence: np.ndarray,
    limbs: np.ndarray,
    sigma: np.ndarray,
    config: RenderConfig,
) -> int:
    """Draw and write one shard whole, then mark it as finished; returns its number of frames."""
    array = zarr.open_array(partial, path="heatmaps", mode="r+")
    # Zarr's search for chunks of zeros takes more than twice as long as drawing, compressing and writing them.
    array = array.with_config({"write_empty_chunks": True})
    # Zarr would read what an earlier run left there, to complete a shard that the end of the array cuts.
    left_behind = array.metadata.encode_chunk_key((shard.start // array.shards[0], 0, 0, 0))
    (partial / "heatmaps" / left_behind).unlink(missing_ok=True)
    array[shard] = render(uv, confidence, limbs, sigma, config.size_px, config.channels)
    _marker(partial, shard).touch()
    return len(uv)


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
        frames = slice(frames.start, frames.stop, frames.step)
        try:
            return self._heatmaps[frames]
        except (RuntimeError, ValueError) as error:  # Zstd's checksum, the shard index's CRC
            raise InputError(
                f"Expected heatmaps that decompress, but got {' '.join(str(error).split())!r} in {self.path},"
                f" frames {frames.start} to {frames.stop}. Delete the store and run its stage again."
            ) from None
