"""A film of two clips in step: A at its own pace, B warped to it, and the correspondence running below.

Drawn by blitting: what stands still is drawn once. Shapes: H x W pixels.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection

from pipeline.contact_sheet import EDGE, around
from pipeline.correspondence import Correspondence
from pipeline.correspondence_bar import (
    GUESS,
    INK,
    correspondence_bar,
    guessed,
    limbs,
    phase_color,
    phase_name,
    share,
    title,
)
from pipeline.figures import Figure
from pipeline.performance import Performance
from pipeline.video import frames as decode

DPI = 100
WIDTH_IN, PANEL_IN, TITLE_IN, CAPTION_IN, BAR_IN = 12.8, 5.0, 0.4, 0.75, 2.0
GAP_IN = 0.15
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


def side_by_side(a: Performance, b: Performance, found: Correspondence) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB for each frame of A, of one even size: the footage with the skeletons, or these on white.

    Missing joints are drawn in grey where frames before and after would have them.
    """
    windows = [_window(clip) for clip in (a, b)]
    aspects = [(right - left) / (bottom - top) for left, right, bottom, top in windows]
    height = min(PANEL_IN, *((WIDTH_IN - 3 * GAP_IN) / 2 / aspect for aspect in aspects))
    total = TITLE_IN + height + CAPTION_IN + BAR_IN
    figure = Figure((WIDTH_IN, round(2 * total, 1) / 2), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    panels = []
    for side, clip, window, aspect in zip((0, 1), (a, b), windows, aspects, strict=True):
        middle = (0.25 + 0.5 * side) * WIDTH_IN
        size = height * aspect / WIDTH_IN, height / total
        ax = figure.add_axes((middle / WIDTH_IN - size[0] / 2, (BAR_IN + CAPTION_IN) / total, *size))
        ax.set_title(title("AB"[side], clip), fontsize=11, pad=5, color=INK)
        panels.append(_Panel(ax, clip, window))
    bar = figure.add_axes((0.09, 0.1 / total, 0.85, (BAR_IN - 0.15) / total))
    correspondence_bar(bar, a, b, found)
    (pair,) = bar.plot([], [], "o-", color=INK, linewidth=2, markersize=5, animated=True)
    sure = bar.text(0, 0, "", fontsize=9, color=INK, ha="center", va="bottom", animated=True, clip_on=False)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    size_px = int(height * DPI)
    images = (_images(a, np.arange(len(a)), size_px), _images(b, found.frames, size_px))
    for frame, partner, *shown in zip(range(len(a)), found.frames.tolist(), *images, strict=True):
        canvas.restore_region(still)
        for panel, number, image in zip(panels, (frame, partner), shown, strict=True):
            panel.draw(number, image)
        ends = share(frame, len(a)), share(partner, len(b))
        pair.set_data(ends, (1, 0))
        sure.set_text(f"{found.confidence[frame]:.2f}")
        sure.set_position((min(max(ends[0], 0.02), 0.98), bar.get_ylim()[1] - 0.2))
        bar.draw_artist(pair)
        bar.draw_artist(sure)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Panel:
    """One clip's place in the film."""

    def __init__(self, ax: Axes, clip: Performance, window: tuple[float, float, float, float]):
        self.ax, self.clip = ax, clip
        ax.set(xlim=window[:2], ylim=window[2:], xticks=[], yticks=[])
        ax.spines[:].set(color=EDGE, linewidth=0.8)
        self.image = None
        if clip.video:
            width, height = clip.poses.frame_size
            extent = (-0.5, width - 0.5, height - 0.5, -0.5)
            self.image = ax.imshow(
                np.zeros((2, 2, 3), np.uint8), extent=extent, animated=True, interpolation="bilinear", aspect="auto"
            )
        thin = 2 if clip.video else 3
        self.guessed = guessed(clip.poses)
        self.guesses = LineCollection([], colors=GUESS, linewidths=thin, capstyle="round", animated=True)
        # A light edge keeps the lines apart from whatever the video shows.
        self.edges, self.lines = (
            LineCollection([], colors=color, linewidths=wide, capstyle="round", animated=True)
            for color, wide in (("white", thin + 2), (INK, thin))
        )
        (self.joints,) = ax.plot([], [], "o", markersize=thin + 2, markeredgecolor="white", animated=True)
        for lines in (self.guesses, self.edges, self.lines):
            ax.add_collection(lines)
        caption = {"transform": ax.transAxes, "ha": "center", "va": "top", "animated": True, "clip_on": False}
        self.when = ax.text(0.5, -0.025, "", fontsize=11, color=INK, **caption)
        self.phase = ax.text(0.5, -0.095, "", fontsize=11, fontweight="bold", **caption)

    def draw(self, frame: int, image: np.ndarray | None) -> None:
        poses = self.clip.poses
        phase, shown = int(poses.phase[frame]), [self.guesses, self.edges, self.lines, self.joints, self.when]
        self.guesses.set_segments(limbs(self.guessed, frame))
        for lines in (self.edges, self.lines):
            lines.set_segments(limbs(poses, frame))
        self.joints.set_data(*poses.joints[frame][poses.confidence[frame] > 0].T)
        self.lines.set_color(phase_color(phase))
        self.joints.set_color(phase_color(phase))
        self.when.set_text(f"frame {frame} of {len(self.clip)}, {self.clip.seconds[frame]:.2f} s")
        if image is not None:
            self.image.set_data(image)
            shown.insert(0, self.image)
        if phase >= 0:
            self.phase.set_text(phase_name(poses, phase))
            self.phase.set_color(phase_color(phase))
            shown.append(self.phase)
        for artist in shown:
            self.ax.draw_artist(artist)


def _window(clip: Performance) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of what is shown: the whole video, or the surroundings of the poses."""
    if clip.video:
        width, height = clip.poses.frame_size
        return -0.5, width - 0.5, height - 0.5, -0.5
    return around(clip.poses)


def _images(clip: Performance, frames: np.ndarray, height_px: int) -> Iterator[np.ndarray | None]:
    """The footage of these frames, in any order, no larger than it is drawn."""
    if clip.video is None:
        yield from [None] * len(frames)
        return
    numbers = clip.poses.video_frames[frames]
    order, place = np.unique(numbers, return_inverse=True)
    images = (_shrunk(image, height_px) for image in decode(Path(clip.video), order))
    if (np.diff(place) >= 0).all():
        yield from _held(images, place)
        return
    # Videos are read forward only; compressed, the frames of minutes fit into memory.
    kept = [cv2.imencode(".jpg", image, JPEG)[1] for image in images]
    yield from (cv2.imdecode(kept[one], cv2.IMREAD_COLOR) for one in place)


def _held(images: Iterable[np.ndarray], place: np.ndarray) -> Iterator[np.ndarray]:
    """Each image as often as `place`, which rises, names it."""
    for number, image in enumerate(images):
        yield from [image] * int((place == number).sum())


def _shrunk(image: np.ndarray, height_px: int) -> np.ndarray:
    scale = height_px / image.shape[0]
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
