"""Frames and their times from raw videos and from folders of images; batches of them decoded ahead; writing a video.

PyAV reads videos (`pipeline.container`), OpenCV the images.
Shapes: T frames of a video, B of a batch, H x W pixels as shown, rotation metadata applied.
"""

import logging
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from pipeline.config import InputError
from pipeline.container import COPY_AGAIN, promised_frames, read_timeline
from pipeline.store import partial_path

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
CLOCK_S = 1e-3  # Matroska's timestamps are whole milliseconds


@dataclass(frozen=True)
class VideoInfo:
    """width, height: pixels as shown. fps: mean rate of the timestamps. times: (T,) float64 seconds, rising from 0.

    variable_rate: some frame lies more than a third of a frame from where a constant rate would have it.
    """

    width: int
    height: int
    fps: float
    times: np.ndarray
    variable_rate: bool

    @property
    def num_frames(self) -> int:
        return len(self.times)


def probe(path: Path, fps: float | None = None) -> VideoInfo:
    """Size and frame times of a video file, or of a folder of images in natural order (frame2 before frame10).

    fps: the rate of what has no times of its own: a folder, or a file with broken timestamps (else its nominal rate).
    Nothing is decoded beyond the first frame, unless a file's packets do not tell the frames: `frames` refuses an image
    that is damaged or of another size. Raises InputError where the first frame cannot be read, and for a file that is cut
    short.
    """
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise InputError(f"Expected a frame rate above 0, but got {fps} for {path}. Correct it.")
    if path.is_dir():
        if fps is None:
            raise InputError(f"Expected a frame rate for a folder of images, but got none for {path}. Give its fps.")
        images = _images(path)
        height, width, _ = _read_image(images[0]).shape
        return VideoInfo(width, height, float(fps), np.arange(len(images)) / fps, False)
    timeline = read_timeline(path)
    with closing(promised_frames(path, timeline)) as promised:
        height, width, _ = _upright(VideoReformatter(), next(promised)).shape
    rate = fps or timeline.rate
    if timeline.pts is None or len(timeline.pts) == 1:
        if rate is None:
            raise InputError(f"Expected timestamps or a frame rate, but got neither in {path}. Give its fps.")
        times = np.arange(timeline.num_frames) / rate
        if timeline.pts is None:
            log.warning("timestamps missing, repeated or out of order, so a constant %.4g fps is taken: %s", rate, path)
    else:
        times = (np.array(timeline.pts) - timeline.pts[0]) * timeline.unit_s
        rate = (len(times) - 1) / times[-1]
    constant = np.arange(len(times)) / rate
    return VideoInfo(width, height, float(rate), times, bool(np.abs(times - constant).max() * rate > 1 / 3))


def frames(path: Path, indices: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield (H, W, 3) uint8 RGB, all frames in presentation order or only those of `indices` (rising, may repeat).

    As many as `probe` promises: raises InputError with the frame number where one is missing, cannot be decoded or has
    another size.
    """
    assert indices is None or (np.diff(indices) >= 0).all(), "decoding goes forward only"
    if path.is_dir():
        files, convert = _images(path), _read_image
        source, num_frames = (file for file in files), len(files)
    else:
        timeline, convert = read_timeline(path), partial(_upright, VideoReformatter())
        source, num_frames = promised_frames(path, timeline), timeline.num_frames
    shape, image, position = None, None, -1
    with closing(source):
        for index in range(num_frames) if indices is None else indices:
            if index >= num_frames:
                raise InputError(f"Expected frame {index}, but got {num_frames} frames in {path}. Correct the indices.")
            if index > position:
                image, position = convert(next(islice(source, index - position - 1, None))), index
            shape = shape or image.shape
            if image.shape != shape:
                expected, got = (f"{width}x{height}" for height, width, _ in (shape, image.shape))
                raise InputError(
                    f"Expected {expected} pixels, but got {got} in {path}, frame {index}. Give all frames one size."
                )
            yield image


def resample(times: np.ndarray, fps: float) -> np.ndarray:
    """(N,) int64: of frames at `times` (T,) the one nearest to each of 0, 1/fps, 2/fps ... up to the last frame.

    Halfway between two it is the earlier one. A higher rate than the video's repeats frames.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"Expected a frame rate above 0, but got {fps} to resample a video to. Correct it.")
    wanted = np.arange(int((times[-1] + CLOCK_S) * fps) + 1) / fps
    after = np.searchsorted(times, wanted).clip(max=len(times) - 1)
    before = (after - 1).clip(min=0)
    nearer = times[after] - wanted < wanted - times[before] - 1e-9  # rounding must not decide a tie
    return np.where(nearer, after, before).astype(np.int64)


def batches(path: Path, indices: np.ndarray, batch_size: int, ahead: int = 2) -> Iterator[np.ndarray]:
    """Yield (B, H, W, 3) uint8 RGB of the frames `indices`, the last batch maybe smaller.

    `ahead` of them (1 or more) are decoded in a thread while the caller computes; closing the generator ends the thread
    and closes the file. Raises what `frames` raises.
    """
    source = frames(path, indices)
    pending: deque[Future] = deque()
    with closing(source), ThreadPoolExecutor(1, "video") as pool:
        try:
            pending.extend(pool.submit(_batch, source, batch_size) for _ in range(ahead))
            while (batch := pending.popleft().result()) is not None:
                pending.append(pool.submit(_batch, source, batch_size))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write (H, W, 3) uint8 RGB frames as H.264 in MP4: whole or not at all, and equal frames give equal bytes.

    An odd width or height grows by a repeated column or row, which yuv420p needs. Raises InputError without frames.
    """
    unfinished = partial_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    num_frames = 0
    try:
        with av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "18"})
            stream.codec_context.thread_count = 1  # more threads: other bytes
            for num_frames, image in enumerate(frames, start=1):
                image = np.pad(image, [(0, size % 2) for size in image.shape[:2]] + [(0, 0)], mode="edge")
                if num_frames == 1:
                    stream.height, stream.width = image.shape[:2]
                assert image.shape == (stream.height, stream.width, 3), "all frames of one size"
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
            if num_frames == 0:
                raise InputError(f"Expected frames to write, but got none for {path}. Check what makes them.")
            container.mux(stream.encode(None))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _upright(reformatter: VideoReformatter, frame: av.VideoFrame) -> np.ndarray:
    """RGB as shown: rows and columns exchanged and reversed as the display matrix says, to the nearest right angle."""
    rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
    if matrix := frame.side_data.get("DISPLAYMATRIX"):
        x_from_x, y_from_x, _, x_from_y, y_from_y = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
        if abs(y_from_x) > abs(x_from_x):
            rgb, x_from_x, y_from_y = rgb.transpose(1, 0, 2), x_from_y, y_from_x
        rgb = rgb[:: -1 if y_from_y < 0 else 1, :: -1 if x_from_x < 0 else 1]
    return np.ascontiguousarray(rgb)


def _images(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."]
    if not files:
        raise InputError(
            f"Expected images ({', '.join(IMAGE_SUFFIXES)}), but got none in {folder}. Name another folder."
        )
    return sorted(files, key=lambda file: (_natural(file.name.lower()), file.name))


def _natural(name: str) -> list:
    """The name as text and numbers in turn."""
    return [int(part) if part.isascii() and part.isdigit() else part for part in re.split("([0-9]+)", name)]


def _read_image(file: Path) -> np.ndarray:
    import cv2

    data = np.frombuffer(file.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise InputError(f"Expected an image, but got {len(data)} bytes that are none in {file}. {COPY_AGAIN}")
    return image


def _batch(source: Iterator[np.ndarray], size: int) -> np.ndarray | None:
    batch = list(islice(source, size))
    return np.stack(batch) if batch else None
