"""The picture of a clip's deviations: their course over time, and the worst moments beside a normal clip's."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from pipeline.deviations import KINDS, Deviation, stretches
from pipeline.figures import PHASE_COLORS
from pipeline.sequence import PoseSequences

MOMENTS = 4
KIND_COLORS = {"pose": "#4477aa", "tempo": "#ccbb44", "joints": "#ee6677"}
SCALE = LinearSegmentedColormap.from_list("deviation", ["#bbbbbb", "#ccbb44", "#cc3311"])  # of joints: 0 to 2
NORMAL = "#228833"
SLIM = 0.55  # width of a cell, relative to its height


def moments(deviation: Deviation, fps: float) -> list[int]:
    """The frames to be shown: the worst of each stretch, worst first; of a clip without any, its worst frame."""
    worst = [start + int(deviation.score[start:stop].argmax()) for start, stop in stretches(deviation, fps)]
    return worst[:MOMENTS] or [int(deviation.score.argmax())]


def describe(deviation: Deviation, frame: int, joints: tuple[str, ...]) -> str:
    """What is unusual in a frame, in few words."""
    kind = deviation.kind[frame]
    if kind == "tempo":
        return "slower" if deviation.slower[frame] else "faster"
    return joints[int(deviation.joints[frame].argmax())].replace("_", " ") if kind == "joints" else "pose"


def deviation_picture(sequences: PoseSequences, n: int, normal: int, deviation: Deviation) -> Figure:
    """Sequence n with its deviations above, and below it its worst moments (joints coloured), each left of that of sequence
    `normal`, the normal clip most like it."""
    fps = float(sequences.fps[n])
    shown = moments(deviation, fps)
    fig = Figure((9.6, 6.4), layout="constrained")
    grid = fig.add_gridspec(3, 2 * MOMENTS, height_ratios=[1, 1.2, 0.05])
    _timeline(fig.add_subplot(grid[0, :]), sequences, n, deviation, shown)
    for place, frame in enumerate(shown):
        mine, other = (fig.add_subplot(grid[1, 2 * place + side]) for side in (0, 1))
        same = int(deviation.frame[frame])
        _pose(mine, sequences, n, frame, SCALE(Normalize(0, 2, clip=True)(deviation.joints[frame])))
        _pose(other, sequences, normal, same, None)
        what = describe(deviation, frame, sequences.skeleton.joints)
        mine.set_title(f"{place + 1}. {what}", fontsize=9, fontweight="bold", pad=3, loc="left")
        mine.set_xlabel(f"frame {frame}\n{deviation.score[frame]:.1f}", fontsize=8)
        other.set_xlabel(f"normal\nframe {same}", fontsize=8, color=NORMAL)
    bar = fig.colorbar(
        ScalarMappable(Normalize(0, 2), SCALE), cax=fig.add_subplot(grid[2, 2:6]), orientation="horizontal"
    )
    bar.set_label("how far a joint is off, on the scale of the deviation", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    fig.suptitle(
        f"{sequences.names[n]}: where it departs from normal clips\nin green the one most like it, {sequences.names[normal]}",
        fontsize=10,
    )
    return fig


def _timeline(ax: Axes, sequences: PoseSequences, n: int, deviation: Deviation, shown: list[int]) -> None:
    fps = float(sequences.fps[n])
    time = np.arange(len(deviation.pose)) / fps
    phase = sequences.phase[sequences.frames(n)]
    for start, stop in stretches(deviation, fps):
        ax.axvspan((start - 0.5) / fps, (stop - 0.5) / fps, color="#cc3311", alpha=0.12, linewidth=0)
    parts = (deviation.pose, deviation.tempo, deviation.joints.max(axis=1))
    names = ("embedding", "tempo", "worst joint")
    for kind, name, part in zip(KINDS, names, parts, strict=True):
        ax.plot(time, part, color=KIND_COLORS[kind], linewidth=1.8, label=name)
    ax.axhline(1, color="#555555", linewidth=0.8, linestyle="--")
    top = max(1.5, 1.15 * float(deviation.score.max()))
    for place, frame in enumerate(shown, start=1):
        ax.annotate(
            str(place), (time[frame], deviation.score[frame]), xytext=(0, 5), textcoords="offset points",
            ha="center", fontsize=9, fontweight="bold",
        )  # fmt: skip
    for start in np.flatnonzero(np.diff(phase, prepend=-2)):
        if phase[start] >= 0:
            stop = start + int(np.argmax(np.append(phase[start:] != phase[start], True)))
            color = PHASE_COLORS[phase[start] % len(PHASE_COLORS)]
            ax.axvspan((start - 0.5) / fps, (stop - 0.5) / fps, ymax=0.03, color=color, linewidth=0)
    ax.set(xlim=(-0.5 / fps, time[-1] + 0.5 / fps), ylim=(-0.04 * top, 1.3 * top))
    ax.set_xlabel("seconds" + ("; the band below the curves: phases" if (phase >= 0).any() else ""), fontsize=8)
    ax.set_ylabel("deviation (1: reached in\n1 % of the normal frames)", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8, ncols=3, loc="upper right", frameon=False)


def _pose(ax: Axes, sequences: PoseSequences, n: int, frame: int, colors: np.ndarray | None) -> None:
    """colors: (K, 4) of the joints; a limb has that of its worse end. None: all green."""
    rows = sequences.frames(n)
    joints, seen = sequences.joints[rows][frame], sequences.confidence[rows][frame] > 0
    visible = joints[seen] if seen.any() else np.zeros((1, 2))
    low, high = visible.min(axis=0), visible.max(axis=0)
    tall, middle = 0.56 * max(high[1] - low[1], (high[0] - low[0]) / SLIM, 1), (low + high) / 2
    wide = SLIM * tall
    for a, b in sequences.skeleton.limbs:
        if seen[a] and seen[b]:
            # red has the least green of the scale
            color = NORMAL if colors is None else min(colors[a], colors[b], key=lambda rgba: rgba[1])
            ax.plot(*joints[[a, b]].T, color=color, linewidth=2.2, solid_capstyle="round")
    ax.scatter(*joints[seen].T, s=12, c=NORMAL if colors is None else colors[seen], zorder=3)
    ax.set(
        xlim=(middle[0] - wide, middle[0] + wide), ylim=(middle[1] + tall, middle[1] - tall), aspect="equal",
        xticks=[], yticks=[],
    )  # fmt: skip
    ax.spines[:].set_visible(False)
