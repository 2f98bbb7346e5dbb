"""Pictures of skeletons and alignments. Each function draws what it is given; none reads a file.

Whatever draws imports this module, if only `Figure`: it says how matplotlib draws here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from pipeline.skeleton import Skeleton

matplotlib.rcParams["text.parse_math"] = False  # names are text, though they may hold a $

WIDTH = 0.72  # of a cell, relative to its height: people stand more often than they lie
PHASE_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")  # Paul Tol, bright
# The same hues where each must be told from white and from near-black.
SCREEN_COLORS = ("#4477aa", "#ee6677", "#228833", "#999933", "#3399bb", "#aa3377", "#888888")


def draw_skeleton(ax: Axes, joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton, color: str) -> None:
    """One pose: (K, 2) pixels with y down and (K,) confidence; missing joints and their limbs are not drawn."""
    seen = confidence > 0
    for a, b in skeleton.limbs:
        if seen[a] and seen[b]:
            ax.plot(*joints[[a, b]].T, color=color, linewidth=2, solid_capstyle="round")
    ax.plot(*joints[seen].T, "o", color=color, markersize=2.5)


def extent(joints: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle (2,) and half the height of a cell that all poses of a video fit in: joints (T, K, 2), confidence (T, K)."""
    seen = joints[confidence > 0]
    low, high = seen.min(axis=0), seen.max(axis=0)
    half = 0.54 * max(high[1] - low[1], (high[0] - low[0]) / WIDTH)
    return (low + high) / 2, half


def alignment(
    rows: dict[str, list[int]],
    poses: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    skeleton: Skeleton,
    row_of: dict[str, str],
) -> tuple[Figure, np.ndarray]:
    """Rows of poses that belong together column by column, coloured by phase.

    rows: row label -> frame numbers, one per column. row_of: row label -> key of `poses`. poses: joints (T, K, 2),
    confidence (T, K) and phase (T,) of a video.
    """
    num_columns = len(next(iter(rows.values())))
    fig, axes = plt.subplots(len(rows), num_columns, figsize=(1.1 * num_columns, 1.6 * len(rows)), squeeze=False)
    for line, (label, frames) in zip(axes, rows.items(), strict=True):
        joints, confidence, phase = poses[row_of[label]]
        middle, half = extent(joints, confidence)
        for ax, frame in zip(line, frames, strict=True):
            color = PHASE_COLORS[phase[frame] % len(PHASE_COLORS)] if phase[frame] >= 0 else "#555555"
            draw_skeleton(ax, joints[frame], confidence[frame], skeleton, color)
            ax.set(
                xlim=(middle[0] - WIDTH * half, middle[0] + WIDTH * half),
                ylim=(middle[1] + half, middle[1] - half),
                aspect="equal",
            )
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"frame {frame}", fontsize=7, color="#555555", labelpad=1)
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, fontsize=9)
    fig.tight_layout(pad=0.4)
    return fig, axes


def loss_curves(panels: dict[str, dict[tuple[str, str], list[float]]]) -> tuple[Figure, np.ndarray]:
    """Losses over epochs, one panel for each key: (input, seed) -> losses. Inputs of several modalities (`a+b`) begin
    where the longest of stage one ends."""
    inputs = list(dict.fromkeys(seen for networks in panels.values() for seen, _ in networks))
    fig, axes = plt.subplots(1, len(panels), figsize=(max(4.5, 3.2 * len(panels)), 3), sharey=True, squeeze=False)
    for ax, (title, networks) in zip(axes[0], panels.items(), strict=True):
        first = max((len(losses) for (seen, _), losses in networks.items() if "+" not in seen), default=0)
        for (seen, _), losses in networks.items():
            begins = first if "+" in seen else 0
            color = PHASE_COLORS[inputs.index(seen) % len(PHASE_COLORS)]
            ax.plot(np.arange(len(losses)) + 1 + begins, losses, ".-", color=color, label=seen)
        if any("+" in seen for seen, _ in networks):
            ax.axvline(first + 0.5, color="#999999", linewidth=0.8, linestyle="--")
        ax.set(title=title, xlabel="epoch", yscale="log")
        ax.yaxis.set_major_formatter(LogFormatter())
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.title.set_fontsize(9)
    axes[0, 0].set_ylabel("loss, frames²")
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    axes[0, 0].legend(handles.values(), handles.keys(), fontsize=7)
    fig.tight_layout(pad=0.4)
    return fig, axes


@dataclass(frozen=True, eq=False)
class Cell:
    """One pose of a row: joints (K, 2), confidence (K,), the `extent` of its video, and its color."""

    joints: np.ndarray
    confidence: np.ndarray
    extent: tuple[np.ndarray, float]
    color: str


def pose_row(cells: Sequence[Cell], skeleton: Skeleton) -> tuple[Figure, Axes]:
    """Poses side by side, without a word or a background: one pair of axes for all, which dozens of them would slow down."""
    fig, ax = plt.subplots(figsize=(len(cells) * WIDTH * 1.2, 1.2))
    for column, cell in enumerate(cells):
        middle, half = cell.extent
        joints = (cell.joints - middle) / max(2.2 * half, 1e-9) + ((column + 0.5) * WIDTH, 0.5)
        seen = cell.confidence > 0
        limbs = [joints[[a, b]] for a, b in skeleton.limbs if seen[a] and seen[b]]
        ax.add_collection(LineCollection(limbs, colors=cell.color, linewidths=1.9, capstyle="round"))
        ax.plot(*joints[seen].T, "o", color=cell.color, markersize=2.2)
    ax.set(xlim=(0, len(cells) * WIDTH), ylim=(1, 0), aspect="equal")
    ax.axis("off")
    fig.subplots_adjust(0, 0, 1, 1)
    return fig, ax
