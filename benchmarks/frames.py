"""How large crops are and how fast they are read: `OMP_NUM_THREADS=1 python -m benchmarks.frames [FOLDER]`.

Peers: JPEG in Zarr through imagecodecs (`pip install imagecodecs`; left out without it), which has codecs for Zarr 2
alone, so a file for each frame; our Zstd in that layout; JPEG by itself, decoded from memory; other settings of Zstd; and,
for the loader, decoding the videos and cropping. Windows are 32 consecutive frames of a random video; a video is decoded
from its beginning, as it is when it is cropped. FOLDER: videos, taken whole; without it synthetic people are filmed.
Figures are the best of several alternating repetitions.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import zarr
from numcodecs import Zstd
from rich.progress import Progress
from zarr.codecs import BloscCodec, ZstdCodec

from benchmarks.render import best_rates
from pipeline.clip import Clip
from pipeline.film import FilmConfig, takes, write_film
from pipeline.frame_store import COMPRESSOR, FRAMES_PER_CHUNK, FRAMES_PER_SHARD, FrameStore, write_frames
from pipeline.frames import FramesConfig, frame_boxes, video_pictures
from pipeline.sequence import PoseSequences, from_clips, write_sequences
from pipeline.shards import create_array
from pipeline.skeleton import skeleton_from_dict
from pipeline.video import VIDEO_SUFFIXES, probe

CONFIG = FramesConfig()
WINDOW = 32
CORNERS = skeleton_from_dict({"name": "corners", "joints": ["a", "b"], "limbs": [[0, 1]]}, "benchmark")


def filmed(folder: Path) -> Iterator[Clip]:
    """Synthetic people, with the pixels of their joints."""
    config = FilmConfig(root=Path("data/raw/studio"), actions=["squat"], train_videos=6, val_videos=2)
    with Progress(disable=True) as progress:
        write_film(config, folder / "film", progress)
    for take in takes(config):
        pixels = take.camera.project(take.positions.astype(float))
        corners = np.stack([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
        yield clip(folder / "film" / take.path, corners, take.split)


def whole(folder: Path) -> Iterator[Clip]:
    """Videos from edge to edge."""
    for n, path in enumerate(sorted(file for file in folder.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)[:20]):
        info = probe(path)
        corners = np.array([[0, 0], [info.width - 1, info.height - 1]], float)
        yield clip(path, np.tile(corners, (info.num_frames, 1, 1)), "val" if n < 2 else "train")


def clip(path: Path, corners: np.ndarray, split: str) -> Clip:
    return Clip(path.stem, "any", split, corners, np.ones(corners.shape[:2]), fps=30.0, video=str(path))


def benchmark_codecs(frames: np.ndarray, folder: Path) -> None:
    """Size and reading speed of the same crops."""
    candidates = {
        "ours": COMPRESSOR,
        "zstd 1": ZstdCodec(level=1, checksum=True),
        "zstd 9": ZstdCodec(level=9, checksum=True),
        "blosc zstd 5, shuffle": BloscCodec(cname="zstd", clevel=5, shuffle="shuffle", typesize=3),
        "blosc lz4 5, bitshuffle": BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=3),
    }
    arrays, group = {}, zarr.create_group(folder / "codecs", zarr_format=3)
    for name, compressor in candidates.items():
        create_array(group, name, frames.shape, FRAMES_PER_CHUNK, FRAMES_PER_SHARD, compressor)
        arrays[name] = group[name]
    old = zarr.create_group(folder / "jpeg", zarr_format=2)
    frame_by_frame = {"shape": frames.shape, "chunks": (1, *frames.shape[1:]), "dtype": "u1"}
    arrays["ours, a file for each frame"] = old.create_array("zstd", compressors=Zstd(level=3), **frame_by_frame)
    try:
        import imagecodecs.numcodecs as jpeg

        jpeg.register_codecs(verbose=False)
        for quality in (85, 90, 95):
            codec = jpeg.Jpeg(level=quality)
            arrays[f"JPEG {quality}"] = old.create_array(f"q{quality}", compressors=codec, **frame_by_frame)
    except ImportError:
        print("imagecodecs is not installed: no JPEG")
    sizes, runs = {}, {}
    for name, array in arrays.items():
        array[...] = frames
        stored = Path(str(array.store_path).removeprefix("file://"))
        sizes[name] = sum(file.stat().st_size for file in stored.rglob("*") if file.is_file())
        parts = [slice(start, start + 128) for start in range(0, len(frames), 128)]
        runs[name] = lambda array=array, parts=parts: [array[part] for part in parts]
    encoded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for frame in frames]
    bare = "JPEG 90, not in Zarr"
    runs[bare] = lambda: [cv2.imdecode(frame, cv2.IMREAD_COLOR) for frame in encoded]
    rates = best_rates(runs, dict.fromkeys(runs, len(frames)), 5)
    sizes[bare], decoded = sum(map(len, encoded)), np.stack(runs[bare]())
    print(f"Crops of {frames.shape[1]} px, raw {frames[0].nbytes:,} bytes/frame")
    for name, rate in rates.items():
        stored = decoded if name == bare else arrays[name][...]
        error = np.square(frames.astype(np.float32) - stored).mean()
        loss = f"{10 * np.log10(255**2 / error):.1f} dB" if error else "lossless"
        print(
            f"  {name:26s} {frames.nbytes / sizes[name]:5.2f} times smaller, read {rate:8,.0f} frames/s, {loss};"
            f"   size / ours {sizes[name] / sizes['ours']:5.2f}, reading speed / ours {rate / rates['ours']:5.2f}"
        )


def benchmark_loader(sequences: PoseSequences, folder: Path) -> None:
    """Windows from the store against windows from the videos."""
    pictures, store = video_pictures(sequences), FrameStore(folder / "frames")
    boxes, rng = frame_boxes(sequences, 0.0, False, CONFIG), np.random.default_rng(0)
    long = np.flatnonzero(sequences.lengths >= WINDOW)
    windows = []
    for n in rng.choice(long, 24):
        start = int(rng.integers(sequences.lengths[n] - WINDOW + 1))
        windows.append((int(n), slice(start, start + WINDOW)))

    def from_store() -> list[np.ndarray]:
        offsets = sequences.offsets
        return [store.frames(slice(offsets[n] + w.start, offsets[n] + w.stop)) for n, w in windows]

    def from_videos() -> list[np.ndarray]:
        return [pictures.crops(n, w, boxes[n], CONFIG.size_px) for n, w in windows]

    for ours, theirs in zip(from_store(), from_videos(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    runs = {"frames store": from_store, "decode and crop": from_videos}
    rates = best_rates(runs, dict.fromkeys(runs, len(windows)), 3)
    print(f"Windows of {WINDOW} frames from {len(long)} videos")
    for name, rate in rates.items():
        print(f"  {name:26s} {rate:8,.1f} windows/s   store / this {rates['frames store'] / rate:6.1f}")


def main() -> None:
    cv2.setNumThreads(1)
    zarr.config.set({"threading.max_workers": 1})
    folder = Path(tempfile.mkdtemp())
    try:
        clips = list(whole(Path(sys.argv[1])) if len(sys.argv) > 1 else filmed(folder))
        sequences = from_clips(
            clips, dataset="benchmark", skeleton=CORNERS, event_names={}, poses="annotated", labels="none"
        )
        write_sequences(sequences, folder / "poses")
        boxes = frame_boxes(sequences, 0.0, False, CONFIG)
        pictures = video_pictures(sequences)
        write_frames(sequences, folder / "poses", folder / "frames", pictures, boxes, CONFIG, "synchronous")
        store = FrameStore(folder / "frames")
        benchmark_codecs(store.frames(slice(0, min(2048, store.num_frames))), folder)
        benchmark_loader(sequences, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
