"""Pictures of skeletons and alignments. Each function draws what it is given; none reads a file."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.skeleton import Skeleton

WIDTH = 0.72  # of a cell, relative to its height: people stand more often than they lie
PHASE_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")  # Paul Tol, bright


def draw_skeleton(ax: Axes, joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton, color: str) -> None:
    """One pose: (K, 2) pixels with y down and (K,) confidence; missing joints and their limbs are not drawn."""
    seen = confidence > 0
    for a, b in skeleton.limbs:
        if seen[a] and seen[b]:
            ax.plot(*joints[[a, b]].T, color=color, linewidth=2, solid_capstyle="round")
    ax.plot(*joints[seen].T, "o", color=color, markersize=2.5)


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
        seen = joints[confidence > 0]
        low, high = seen.min(axis=0), seen.max(axis=0)
        half = 0.54 * max(high[1] - low[1], (high[0] - low[0]) / WIDTH)
        middle = (low + high) / 2
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
