"""Pictures of one pose sequence for the eye: skeletons over their video, the heatmaps beside them, as a sheet or a film.

Shapes: T frames of the sequence, K joints, C channels of S x S heatmaps, H x W pixels of the video.
"""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures import Figure
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

LEFT, RIGHT, MIDDLE = "#ee6677", "#2f78c4", "#228833"
JOINTS, LIMBS = np.array([1.0, 0.62, 0.15]), np.array([0.15, 0.5, 1.0])  # RGB of the heatmaps, on black
GROUND, EDGE = "#e8e8e8", "#bbbbbb"
CELL_IN2, SHEET_IN = 5.5, 15.0  # area of a picture, width of a sheet
LEGEND_IN = 9.0  # width that the legend needs
CHARACTERS_PER_IN = 15
FAINTEST = 0.25  # opacity at confidence 0
MARGIN = 0.15  # around the person, of the larger side


@dataclass(frozen=True)
class Take:
    """One sequence, ready to be drawn.

    joints: (T, K, 2) pixels, y down. confidence: (T, K). phase: (T,), -1 without. phases: their names. fps: of the rows.
    video_frames: (T,) numbers in the raw video. frame_size: (width, height) px, (0, 0) if unknown. heatmaps:
    (T, C, S, S) uint8 or None; channels: what C is, as in `RenderConfig`; box: (4,) their place in the frame.
    """

    title: str
    skeleton: Skeleton
    joints: np.ndarray
    confidence: np.ndarray
    phase: np.ndarray
    phases: tuple[str, ...]
    fps: float
    video_frames: np.ndarray
    frame_size: tuple[int, int]
    heatmaps: np.ndarray | None = None
    channels: str = ""
    box: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.joints)


def take(sequences: PoseSequences, n: int) -> Take:
    """Sequence n without heatmaps; its poses are 2D."""
    rows, action, fps = sequences.frames(n), sequences.actions[n], float(sequences.fps[n])
    facts = (action, sequences.splits[n], f"{rows.stop - rows.start} frames at {fps:g} fps", f"{sequences.poses} poses")
    names = sequences.event_names[action]
    return Take(
        title=f"{sequences.dataset} / {sequences.names[n]}: {', '.join(facts)}",
        skeleton=sequences.skeleton,
        joints=sequences.joints[rows],
        confidence=sequences.confidence[rows],
        phase=sequences.phase[rows],
        phases=("phase 1", *(f"phase {number}: from {name}" for number, name in enumerate(names, start=2))),
        fps=fps,
        video_frames=sequences.video_frames[rows],
        frame_size=tuple(sequences.frame_size[n].tolist()),
    )


def contact_sheet(shown: Take, frames: list[int], images: Iterable[np.ndarray] | None = None) -> Figure:
    """A grid of frames, with a row of heatmaps below each row of poses.

    images: (H, W, 3) uint8 RGB of each of `frames`, or None for a white ground. The cut is around the whole sequence.
    """
    window = around(shown)
    width, height = _cell(window)
    num_columns = min(len(frames), int(SHEET_IN / width))
    num_columns = -(-len(frames) // -(-len(frames) // num_columns))
    kinds = 1 if shown.heatmaps is None else 2
    num_rows = kinds * -(-len(frames) // num_columns)
    size = (max(num_columns * (width + 0.1), LEGEND_IN), num_rows * (height + 0.38) + 0.8)
    figure = Figure(size, layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for place, (frame, image) in enumerate(_with_images(frames, images)):
        row, column = divmod(place, num_columns)
        _draw_frame(axes[kinds * row, column], shown, frame, image, window)
        if kinds == 2:
            _draw_heatmaps(axes[kinds * row + 1, column], shown, frame, window)
    figure.suptitle(shown.title, fontsize=11)
    _add_legend(figure, shown)
    return figure


def film(shown: Take, images: Iterable[np.ndarray] | None = None) -> Iterator[np.ndarray]:
    """Every frame as an (H, W, 3) uint8 RGB picture of one even size, the heatmaps beside it."""
    window = around(shown)
    if images is not None and all(shown.frame_size):
        window = (-0.5, shown.frame_size[0] - 0.5, shown.frame_size[1] - 0.5, -0.5)
    width, height = (round(2 * side, 1) for side in _cell(window))
    kinds = 1 if shown.heatmaps is None else 2
    figure = Figure((max(kinds * width, LEGEND_IN), height + 1.4), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, kinds, squeeze=False)[0]
    figure.subplots_adjust(
        left=0.01, right=0.99, top=1 - 0.6 / (height + 1.4), bottom=0.8 / (height + 1.4), wspace=0.02
    )
    figure.suptitle(shown.title, fontsize=9)
    _add_legend(figure, shown)
    for frame, image in _with_images(range(len(shown)), images):
        for ax in axes:
            ax.clear()
        _draw_frame(axes[0], shown, frame, image, window)
        if kinds == 2:
            _draw_heatmaps(axes[1], shown, frame, window)
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def heatmap_image(heatmaps: np.ndarray, channels: str, num_joints: int) -> np.ndarray:
    """(S, S, 3) float RGB in [0, 1] of (C, S, S) uint8 heatmaps: the strongest joint and the strongest limb."""
    num_drawn = num_joints if "joints" in channels else 0
    joints, limbs = (part.max(axis=0, initial=0) / 255 for part in (heatmaps[:num_drawn], heatmaps[num_drawn:]))
    joints = joints[..., None]
    return joints * JOINTS + (1 - joints) * limbs[..., None] * LIMBS


def side_colors(skeleton: Skeleton) -> tuple[list[str], list[str]]:
    """Colours of the K joints and of the L limbs: a limb is of the side of its joints, if only one."""
    color = dict.fromkeys(range(skeleton.num_joints), MIDDLE)
    for left, right in skeleton.pairs:
        color |= {left: LEFT, right: RIGHT}
    limbs = [{color[a], color[b]} - {MIDDLE} for a, b in skeleton.limbs]
    return list(color.values()), [sides.pop() if len(sides) == 1 else MIDDLE for sides in limbs]


def _with_images(frames: Iterable[int], images: Iterable | None) -> Iterator[tuple[int, np.ndarray | None]]:
    return zip(frames, images, strict=True) if images is not None else zip(frames, repeat(None), strict=False)


def around(shown: Take) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the cut, y down: all that is seen in the whole sequence, and a margin."""
    seen = shown.joints[shown.confidence > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    half = (high - low) / 2 + MARGIN * max(*(high - low), 1)
    half = np.maximum(half, half.max() * 0.4)
    (left, top), (right, bottom) = (low + high) / 2 - half, (low + high) / 2 + half
    return float(left), float(right), float(bottom), float(top)


def _cell(window: tuple[float, float, float, float]) -> tuple[float, float]:
    """Width and height of a picture in inches."""
    left, right, bottom, top = window
    height = (CELL_IN2 * (bottom - top) / (right - left)) ** 0.5
    return CELL_IN2 / height, height


def _draw_frame(ax: Axes, shown: Take, frame: int, image: np.ndarray | None, window: tuple) -> None:
    if image is not None:
        width, height = shown.frame_size if all(shown.frame_size) else image.shape[1::-1]
        ax.imshow(image, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bilinear")
    _frame(ax, window, "white" if image is None else GROUND)
    joints, confidence = shown.joints[frame], shown.confidence[frame]
    seen = confidence > 0
    opacity = FAINTEST + (1 - FAINTEST) * confidence
    joint_colors, limb_colors = side_colors(shown.skeleton)
    drawn = [
        (limb, color) for limb, color in zip(shown.skeleton.limb_index, limb_colors, strict=True) if seen[limb].all()
    ]
    lines = [joints[limb] for limb, _ in drawn]
    colors = [to_rgba(color, float(opacity[limb].min())) for limb, color in drawn]
    # A light edge keeps the lines apart from whatever the video shows.
    ax.add_collection(LineCollection(lines, colors=[(1, 1, 1, a) for *_, a in colors], linewidths=4, capstyle="round"))
    ax.add_collection(LineCollection(lines, colors=colors, linewidths=2.2, capstyle="round"))
    dots = [to_rgba(joint_colors[k], float(opacity[k])) for k in np.flatnonzero(seen)]
    ax.scatter(*joints[seen].T, s=16, c=dots, edgecolors="white", linewidths=0.6, zorder=3)
    if not seen.any():
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        ax.text(0.5, 0.5, "nobody found", transform=ax.transAxes, ha="center", va="center", fontsize=9, bbox=box)
    video_frame = int(shown.video_frames[frame])
    elsewhere = f"\nvideo frame {video_frame}" if video_frame != frame else ""
    ax.set_title(f"frame {frame}, {frame / shown.fps:.2f} s{elsewhere}", fontsize=8, pad=3)
    if (phase := shown.phase[frame]) >= 0:
        width = ax.get_window_extent().width / ax.figure.dpi
        name = textwrap.fill(shown.phases[phase], max(12, int(width * CHARACTERS_PER_IN)))
        ax.set_xlabel(name, fontsize=8, labelpad=3)


def _draw_heatmaps(ax: Axes, shown: Take, frame: int, window: tuple) -> None:
    left, top, width, height = shown.box
    picture = heatmap_image(shown.heatmaps[frame], shown.channels, shown.skeleton.num_joints)
    # Pixel i of either image covers [i - 0.5, i + 0.5].
    extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    ax.imshow(picture, extent=extent, interpolation="nearest")
    _frame(ax, window, GROUND)


def _frame(ax: Axes, window: tuple, ground: str) -> None:
    ax.set_axis_on()
    ax.set(xlim=window[:2], ylim=window[2:], xticks=[], yticks=[], aspect="equal", facecolor=ground)
    ax.spines[:].set(color=EDGE, linewidth=0.8)


def _add_legend(figure: Figure, shown: Take) -> None:
    used = set(side_colors(shown.skeleton)[0])
    sides = ((LEFT, "left"), (RIGHT, "right"), (MIDDLE, "middle"))
    handles = [Line2D([], [], color=color, lw=3, marker="o", label=label) for color, label in sides if color in used]
    handles.append(Line2D([], [], color=LEFT, alpha=FAINTEST, lw=3, label="faint: low confidence"))
    if shown.heatmaps is not None:
        size, colors = shown.heatmaps.shape[-1], {"joints": JOINTS, "limbs": LIMBS}
        handles += [
            Patch(color=colors[name], label=f"heatmaps of {name}, {size} x {size}")
            for name in shown.channels.split("+")
        ]
    where = "outside lower center" if figure.get_layout_engine() else "lower center"
    figure.legend(handles=handles, loc=where, ncols=len(handles), fontsize=8, frameon=False)
