"""How fast heatmaps are drawn and stored, on one thread: `OMP_NUM_THREADS=1 python -m benchmarks.render`.

Peers: the obvious NumPy loop over frames and joints, a bare fill or copy of the same bytes in the same batches, and a
store of one chunk per frame. Each figure is the best of several alternating repetitions.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import zarr
from numcodecs import Zstd

from pipeline.heatmap import RenderConfig, render
from pipeline.heatmap_store import write_heatmaps
from pipeline.sequence import Clip, PoseSequences, from_clips, write_sequences
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("coco_17")
LIMBS = SKELETON.limb_index
CONFIG = RenderConfig()
# Joints of COCO-17 of a standing person, in body heights.
X = [0.50, 0.53, 0.47, 0.56, 0.44, 0.63, 0.37, 0.72, 0.28, 0.80, 0.20, 0.58, 0.42, 0.60, 0.40, 0.62, 0.38]
Y = [0.05, 0.03, 0.03, 0.05, 0.05, 0.20, 0.20, 0.38, 0.38, 0.52, 0.52, 0.52, 0.52, 0.74, 0.74, 0.96, 0.96]
STANDING = np.stack([X, Y], axis=1)


def moving_poses(num_frames: int, height_px: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 17, 2) of a body that sways, each joint at its own pace, plus detector noise; confidence (T, 17)."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(num_frames)[:, None, None] / 30
    pace, phase = rng.uniform(1, 6, (17, 2)), rng.uniform(0, 2 * np.pi, (17, 2))
    joints = STANDING + 0.08 * np.sin(seconds * pace + phase) + rng.normal(0, 0.003, (num_frames, 17, 2))
    return (joints * height_px).astype(np.float32), rng.uniform(0.5, 1, (num_frames, 17)).astype(np.float32)


def numpy_loop(uv: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The obvious renderer: one map after the other, each in a few NumPy operations over the whole grid."""
    size, sigma = CONFIG.size_px, CONFIG.sigma_px
    y, x = np.mgrid[:size, :size].astype(np.float32)
    maps = np.zeros((len(uv), 17 + len(LIMBS), size, size), np.uint8)
    for frame in range(len(uv)):
        for k in range(17):
            squared = (x - uv[frame, k, 0]) ** 2 + (y - uv[frame, k, 1]) ** 2
            maps[frame, k] = np.rint(255 * np.exp(-squared / (2 * sigma**2)) * confidence[frame, k])
        for n, (a, b) in enumerate(LIMBS):
            start, limb = uv[frame, a], uv[frame, b] - uv[frame, a]
            along = ((x - start[0]) * limb[0] + (y - start[1]) * limb[1]) / (limb @ limb)
            along = np.clip(along, 0, 1)
            squared = (x - start[0] - along * limb[0]) ** 2 + (y - start[1] - along * limb[1]) ** 2
            score = min(confidence[frame, a], confidence[frame, b])
            maps[frame, 17 + n] = np.rint(255 * np.exp(-squared / (2 * sigma**2)) * score)
    return maps


def best_rates(
    runs: dict[str, Callable], num_frames: dict[str, int], repetitions: int, clock=time.perf_counter
) -> dict:
    """Frames per second of each run: its best repetition, the runs taking turns."""
    best = dict.fromkeys(runs, np.inf)
    for _ in range(repetitions):
        for name, run in runs.items():
            began = clock()
            run()
            best[name] = min(best[name], clock() - began)
    return {name: num_frames[name] / seconds for name, seconds in best.items()}


def show(title: str, rates: dict[str, float], ours: str) -> None:
    print(title)
    for name, rate in rates.items():
        print(f"  {name:32s} {rate:12,.0f} frames/s   ours / this = {rates[ours] / rate:8.2f}")


def benchmark_kernel(num_frames: int = 8192) -> None:
    uv, confidence = moving_poses(num_frames, CONFIG.size_px - 1)
    sigma = np.full(2, CONFIG.sigma_px, np.float32)
    shape = (17 + len(LIMBS), CONFIG.size_px, CONFIG.size_px)
    few = 64
    ours = render(uv[:few], confidence[:few], LIMBS, sigma, CONFIG.size_px, CONFIG.channels)
    assert np.abs(ours.astype(int) - numpy_loop(uv[:few], confidence[:few])).max() <= 1
    for batch in (64, 256, 4096):
        out, full = np.zeros((batch, *shape), np.uint8), np.ones((batch, *shape), np.uint8)
        batches = [slice(start, start + batch) for start in range(0, num_frames, batch)]

        def draw(into, batches=batches):
            for part in batches:
                render(uv[part], confidence[part], LIMBS, sigma, CONFIG.size_px, CONFIG.channels, into)

        def fill(batches=batches, out=out):
            for _ in batches:
                out[...] = 1

        def copy(batches=batches, out=out, full=full):
            for _ in batches:
                np.copyto(out, full)

        def fill_fresh(batches=batches, batch=batch):
            for _ in batches:
                np.empty((batch, *shape), np.uint8)[...] = 1

        runs = {
            "kernel": lambda out=out, draw=draw: draw(out),
            "NumPy loop": lambda: numpy_loop(uv[:few], confidence[:few]),
            "copy of the same bytes": copy,
            "fill of the same bytes": fill,
            "kernel, fresh memory": lambda draw=draw: draw(None),
            "fill, fresh memory": fill_fresh,
        }
        counts = {name: few if name == "NumPy loop" else num_frames for name in runs}
        show(f"Drawing, batches of {batch} frames", best_rates(runs, counts, 7), "kernel")


def benchmark_codec(num_frames: int = 4096) -> None:
    uv, confidence = moving_poses(num_frames, CONFIG.size_px - 1)
    maps = render(uv, confidence, LIMBS, np.full(2, CONFIG.sigma_px, np.float32), CONFIG.size_px, CONFIG.channels)
    print(f"Zstd with checksum, raw {maps[0].nbytes:,} bytes/frame")
    for frames_per_chunk in (1, 16, 64, 128):
        for level in (-1, 1, 3, 5):
            codec = Zstd(level=level, checksum=True)
            chunks = [maps[start : start + frames_per_chunk] for start in range(0, num_frames, frames_per_chunk)]
            size = sum(len(codec.encode(chunk)) for chunk in chunks)
            rate = best_rates({"": lambda c=codec, k=chunks: [c.encode(x) for x in k]}, {"": num_frames}, 3)[""]
            print(
                f"  {frames_per_chunk:4d} frames/chunk, level {level:2d}: {rate:9,.0f} frames/s,"
                f" {size / num_frames:7,.0f} bytes/frame, {maps.nbytes / size:5.1f} times smaller"
            )


def moving_sequences(num_sequences: int, frames_each: int) -> PoseSequences:
    clips = [
        Clip(str(n), "sway", "val" if n < 2 else "train", *moving_poses(frames_each, 400, seed=n), fps=30.0)
        for n in range(num_sequences)
    ]
    return from_clips(clips, dataset="sway", skeleton=SKELETON, event_names={}, poses="synthetic", labels="none")


def benchmark_store() -> None:
    zarr.config.set({"threading.max_workers": 1})
    sequences = moving_sequences(16, 1024)
    num_frames, few = sequences.num_frames, 1024
    uv, confidence = moving_poses(few, CONFIG.size_px - 1)
    sigma = np.full(2, CONFIG.sigma_px, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source, path, peer = Path(folder, "poses"), Path(folder, "heatmaps"), Path(folder, "peer")
        write_sequences(sequences, source)

        def ours():
            write_heatmaps(sequences, source, path, CONFIG, scheduler="synchronous")

        def frame_by_frame():
            maps = render(uv, confidence, LIMBS, sigma, CONFIG.size_px, CONFIG.channels)
            array = zarr.create_array(
                peer, shape=maps.shape, chunks=(1, *maps.shape[1:]), dtype=np.uint8, overwrite=True
            )
            for index, frame in enumerate(maps):
                array[index] = frame

        runs = {"whole stage, sharded store": ours, "loop, one chunk per frame": frame_by_frame}
        counts = dict(zip(runs, (num_frames, few), strict=True))
        for clock, name in ((time.perf_counter, "wall clock"), (time.process_time, "CPU time of all threads")):
            show(f"Drawing, compressing and writing, {name}", best_rates(runs, counts, 3, clock), next(iter(runs)))


if __name__ == "__main__":
    benchmark_kernel()
    benchmark_codec()
    benchmark_store()
