"""Pictures of two revisions: differences with their intervals, and losses. Each function draws what it is given."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from pipeline.comparison import BETTER, WORSE, Row
from pipeline.figures import PHASE_COLORS, plt
from pipeline.wording import describe, systems

COLORS = {BETTER: "#228833", WORSE: "#ee6677"}
NUM_COLUMNS = 3


def difference_bars(rows: Sequence[Row]) -> tuple[Figure, np.ndarray]:
    """After minus before, a panel for each data set and metric, a line for each system and variant; dashed intervals are
    of videos alone. Rows without a difference are left out."""
    panels: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.difference is not None:
            panels.setdefault((row.dataset, row.metric), []).append(row)
    heights = [1 + 0.28 * len(found) for found in panels.values()]
    fig, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, sum(heights)),
        squeeze=False,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    fig.get_layout_engine().set(h_pad=0.12)
    for ax, ((dataset, metric), found) in zip(axes[:, 0], panels.items(), strict=True):
        labels = systems(dict.fromkeys(row.system for row in found))
        for y, row in enumerate(found):
            color = COLORS.get(row.verdict, "#777777")
            style = "-" if row.over_seeds else "--"
            ax.plot([row.low, row.high], [y, y], color=color, linestyle=style, linewidth=2)
            ax.plot(row.difference, y, "o", color=color)
            ax.annotate(f" {row.verdict}", (1, y), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        ax.axvline(0, color="#333333", linewidth=0.8)
        ax.set_yticks(
            range(len(found)), [f"{labels[r.system]}, {r.variant.replace('_', '-')}" for r in found], fontsize=8
        )
        ax.set_ylim(len(found) - 0.5, -0.5)
        ax.set_title(f"{dataset}: {describe(metric)[0]}, after minus before", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(axis="x", labelsize=8)
    return fig, axes


def loss_pairs(curves: dict[str, list[dict[str, str]]]) -> tuple[Figure, np.ndarray]:
    """Losses over epochs, a panel for each action and input, a line a seed, a colour a revision.

    curves: revision -> rows of the loss.csv that `write_plots` made.
    """
    facets = list(dict.fromkeys(row["facet"] for rows in curves.values() for row in rows))
    lines = -(-len(facets) // NUM_COLUMNS)
    fig, axes = plt.subplots(lines, NUM_COLUMNS, figsize=(10, 2.4 * lines), squeeze=False)
    for ax, facet in zip(axes.flat, facets, strict=False):
        for color, (revision, rows) in zip(PHASE_COLORS, curves.items(), strict=False):
            seeds: dict[str, list[tuple[float, float]]] = {}
            for row in rows:
                if row["facet"] == facet:
                    seeds.setdefault(row["seed"], []).append((float(row["epoch"]), float(row["loss"])))
            for number, points in enumerate(seeds.values()):
                ax.plot(*np.array(points).T, ".-", color=color, linewidth=1, label="" if number else revision)
        ax.set_title(facet, fontsize=8)
        ax.set(yscale="log")
        ax.yaxis.set_major_formatter(LogFormatter())
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
        ax.tick_params(which="both", labelsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes.flat[len(facets) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("loss, frames²", fontsize=8)
    axes[0, 0].legend(fontsize=7)
    fig.tight_layout(pad=0.6)
    return fig, axes
