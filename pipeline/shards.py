"""A frame-by-frame array of a Zarr store, made and written shard by shard by Dask.

A shard is made, compressed and written by one task, since two writers of one shard lose data. Finished ones are marked,
so that a run which was cut off is taken up where it stopped.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import dask
import numpy as np
import zarr
from dask.callbacks import Callback

from pipeline.config import InputError
from pipeline.progress import progress_bar

DONE = "done"  # a folder with one empty file per finished shard, while the store is being written
Scheduler = Literal["threads", "processes", "synchronous"]


def create_array(group: zarr.Group, name: str, shape: tuple[int, ...], chunk: int, shard: int, compressor) -> None:
    """An empty uint8 array in chunks and shards of so many frames."""
    num_chunks = min(shard // chunk, -(-shape[0] // chunk))
    group.create_array(
        name,
        shape=shape,
        chunks=(chunk, *shape[1:]),
        shards=(num_chunks * chunk, *shape[1:]),
        dtype=np.uint8,
        compressors=compressor,
        overwrite=True,
    )


def created(partial: Path) -> bool:
    """Whether everything but the shards is there."""
    return (partial / DONE).is_dir()


def mark_created(partial: Path) -> None:
    (partial / DONE).mkdir()


def write_shards(
    partial: Path,
    name: str,
    num_frames: int,
    size: int,
    make: Callable[[slice], tuple],
    draw: Callable[..., np.ndarray],
    scheduler: Scheduler,
    workers: int | None,
) -> int:
    """Fill the array `name` of the unfinished store `partial` in shards of `size` frames; returns how many were there.

    make: frames -> the arguments with which `draw` makes them in the task, (F, ...) uint8.
    """
    shards = [slice(start, min(start + size, num_frames)) for start in range(0, num_frames, size)]
    pending = [shard for shard in shards if not _marker(partial, shard).is_file()]
    tasks = [dask.delayed(_write)(partial, name, shard, draw, make(shard)) for shard in pending]
    with progress_bar("frames") as progress:
        bar = progress.add_task(name, total=sum(shard.stop - shard.start for shard in pending))
        with Callback(posttask=lambda key, num_written, *_: progress.advance(bar, num_written)):
            dask.compute(*tasks, scheduler=scheduler, num_workers=workers)
    for unfinished in list(partial.rglob("*.partial")):  # zarr's temporary files, if a write was cut off
        unfinished.unlink()
    shutil.rmtree(partial / DONE)
    return len(shards) - len(pending)


def _marker(partial: Path, shard: slice) -> Path:
    return partial / DONE / str(shard.start)


def _write(partial: Path, name: str, shard: slice, draw: Callable[..., np.ndarray], arguments: tuple) -> int:
    """Make and write one shard whole, then mark it as finished; returns its number of frames."""
    array = zarr.open_array(partial, path=name, mode="r+")
    # Zarr's search for chunks of zeros takes longer than compressing and writing them.
    array = array.with_config({"write_empty_chunks": True})
    # Zarr would read what an earlier run left there, to complete a shard that the end of the array cuts.
    place = (shard.start // array.shards[0], *[0] * (array.ndim - 1))
    (partial / name / array.metadata.encode_chunk_key(place)).unlink(missing_ok=True)
    array[shard] = draw(*arguments)
    _marker(partial, shard).touch()
    return shard.stop - shard.start


def read_frames(array: zarr.Array, frames: slice | range, path: Path) -> np.ndarray:
    """A run of frames; raises InputError that names the store at `path` if a chunk with one of them is damaged."""
    frames = slice(frames.start, frames.stop, frames.step)
    try:
        return array[frames]
    except (RuntimeError, ValueError) as error:  # Zstd's checksum, the shard index's CRC
        raise InputError(
            f"Expected {array.basename} that decompress, but got {' '.join(str(error).split())!r} in {path},"
            f" frames {frames.start} to {frames.stop}. Delete the store and run its stage again."
        ) from None


def num_bytes(path: Path) -> int:
    """Of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
