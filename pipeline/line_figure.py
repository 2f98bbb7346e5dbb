"""The paper's Figs. 8 and 9: poses of two clips along their time, and a line from each to its partner's place."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from pipeline.correspondence import Correspondence, clock
from pipeline.correspondence_bar import (
    CLOCK,
    GUESS,
    INK,
    guessed,
    limbs,
    phase_color,
    phase_name,
    share,
    timeline,
    title,
)
from pipeline.figures import Figure
from pipeline.performance import Performance

NUM_POSES = 10
POSE_IN = 1.15  # side of the square that a pose is drawn in
BAR_IN, LINES_IN, MARGIN_IN, TEXT_IN, LEGEND_IN = 0.16, 1.7, 0.35, 0.3, 0.85


def line_figure(a: Performance, b: Performance, found: Correspondence, num_poses: int = NUM_POSES) -> Figure:
    """Two rows of evenly spaced poses, both from a clip's beginning to its end, and between them the lines.

    From each pose of A one leads to its partner's place in B, in the colour of A's phase, the fainter the less sure,
    and a grey one to the place that the clock names, the same share of B.
    """
    width = num_poses * POSE_IN
    row = POSE_IN + TEXT_IN + BAR_IN
    below, above = row, row + LINES_IN
    height = 2 * row + LINES_IN
    figure = Figure((width + 2 * MARGIN_IN, height + MARGIN_IN + LEGEND_IN), dpi=110)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-MARGIN_IN, width + MARGIN_IN), ylim=(-LEGEND_IN, height + MARGIN_IN), aspect="equal")
    ax.set_axis_off()
    shown = _evenly(len(a), num_poses)
    _row(ax, a, shown, width, above + BAR_IN, above + BAR_IN + TEXT_IN)
    _row(ax, b, _evenly(len(b), num_poses), width, POSE_IN, 0)
    timeline(ax, a, above, above + BAR_IN, width=width)
    timeline(ax, b, below - BAR_IN, below, width=width)
    starts = share(shown, len(a)) * width
    by_clock, matched = (
        share(frames, len(b)) * width for frames in (clock(len(a), len(b))[shown], found.frames[shown])
    )
    for ends, colors, line in (
        (by_clock, [CLOCK] * len(shown), {"linewidths": 1, "linestyles": "--"}),
        (matched, [phase_color(a.poses.phase[t]) for t in shown], {"linewidths": 2.2, "alpha": _opacity(found, shown)}),
    ):
        segments = [((x, above), (y, below)) for x, y in zip(starts, ends, strict=True)]
        ax.add_collection(LineCollection(segments, colors=colors, capstyle="round", **line))
    ax.plot(matched, np.full(len(shown), below), "v", color=INK, markersize=4, clip_on=False)
    _titles(ax, a, b, found, width, height)
    return figure


def _evenly(num_frames: int, num_poses: int) -> np.ndarray:
    """The frames in the middles of equal parts of a clip."""
    middles = (np.arange(num_poses) + 0.5) / num_poses
    return np.unique((middles * num_frames).astype(int).clip(max=num_frames - 1))


def _opacity(found: Correspondence, shown: np.ndarray) -> np.ndarray:
    return 0.25 + 0.75 * found.confidence[shown]


def _row(ax: Axes, clip: Performance, shown: np.ndarray, width: float, text: float, bottom: float) -> None:
    """Poses at their places along the time axis, in the scale of the whole clip, and their times at height `text`."""
    poses, guesses = clip.poses, guessed(clip.poses)
    seen = poses.joints[poses.confidence > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    scale = 0.86 * POSE_IN / max(*(high - low), 1e-9)
    for frame in shown:
        corner = np.array([share(frame, len(clip)) * width, bottom + POSE_IN / 2])
        for drawn, color in ((guesses, GUESS), (poses, phase_color(poses.phase[frame]))):
            segments = corner + (limbs(drawn, frame) - (low + high) / 2) * scale * [1, -1]
            ax.add_collection(LineCollection(list(segments), colors=color, linewidths=2, capstyle="round"))
        ax.text(
            corner[0],
            text + TEXT_IN / 2,
            f"{clip.seconds[frame]:.1f} s",
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
        )


def _titles(ax: Axes, a: Performance, b: Performance, found: Correspondence, width: float, height: float) -> None:
    say = {"fontsize": 10, "color": INK, "ha": "left"}
    ax.text(0, height - 0.06, title("A", a), va="bottom", **say)
    ax.text(0, -0.06, title("B", b), va="top", **say)
    used = sorted({int(phase) for clip in (a, b) for phase in clip.poses.phase if phase >= 0})
    handles = [Line2D([], [], color=phase_color(phase), lw=4, label=phase_name(a.poses, phase)) for phase in used]
    handles += [
        Line2D([], [], color=INK, lw=2, label=f"partner in B ({found.method}; faint: unsure)"),
        Line2D([], [], color=CLOCK, lw=1, ls="--", label="partner by the clock"),
    ]
    say = {"fontsize": 8.5, "frameon": False, "borderaxespad": 0, "handlelength": 1.5, "columnspacing": 1.5}
    place = {"loc": "upper left", "bbox_to_anchor": (0, -0.35), "bbox_transform": ax.transData}
    ax.legend(handles=handles, ncols=-(-len(handles) // 2) if len(handles) > 5 else len(handles), **place, **say)
