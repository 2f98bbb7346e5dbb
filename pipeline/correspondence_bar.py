"""What the line picture and the film of an alignment share: colours of phases, outlines of poses, two timelines."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

from pipeline.contact_sheet import Take
from pipeline.correspondence import Correspondence
from pipeline.figures import PHASE_COLORS
from pipeline.gaps import fill
from pipeline.performance import Performance

UNLABELLED, INK, CLOCK, GUESS = "#555555", "#222222", "#bbbbbb", "#cccccc"
BAR = 0.16  # height of a timeline, where the two are 1 apart
NUM_LINES = 60
LONGEST = 56  # characters of a title


def phase_color(phase: int) -> str:
    """The colour of a phase; of frames without one, -1, a grey."""
    return PHASE_COLORS[phase % len(PHASE_COLORS)] if phase >= 0 else UNLABELLED


def title(side: str, clip: Performance) -> str:
    """`A: name`, of a long path the end."""
    return f"{side}: {clip.name if len(clip.name) <= LONGEST else '…' + clip.name[-LONGEST:]}"


def phase_name(poses: Take, phase: int) -> str:
    return poses.phases[phase].replace("_", " ")


def limbs(poses: Take, frame: int) -> np.ndarray:
    """(L, 2, 2) pixels: the limbs of a frame whose joints are both seen."""
    index = np.asarray(poses.skeleton.limb_index)
    return poses.joints[frame][index[(poses.confidence[frame][index] > 0).all(axis=1)]]


def guessed(poses: Take) -> Take:
    """The same with every joint that any frame shows, where it is missing on a straight line in time: what is drawn faintly."""
    joints, seen = poses.joints.copy(), poses.confidence > 0
    fill(joints, seen)
    return replace(poses, joints=joints, confidence=np.broadcast_to(seen.any(axis=0), seen.shape).astype(np.float32))


def share(frames: np.ndarray, num_frames: int) -> np.ndarray:
    """The middle of frames in the clip, 0 its beginning and 1 its end."""
    return (np.asarray(frames) + 0.5) / num_frames


def timeline(ax: Axes, clip: Performance, low: float, high: float, left: float = 0, width: float = 1) -> None:
    """A bar of the clip's time, coloured by phase."""
    edges = [0, *(np.flatnonzero(np.diff(clip.poses.phase)) + 1), len(clip)]
    for start, stop in pairwise(edges):
        place = left + width * start / len(clip)
        ax.broken_barh(
            [(place, width * (stop - start) / len(clip))],
            (low, high - low),
            facecolor=phase_color(clip.poses.phase[start]),
            edgecolor="white",
            linewidth=0.8,
        )


def correspondence_bar(ax: Axes, a: Performance, b: Performance, found: Correspondence) -> None:
    """A's timeline above B's, lines between partners, the fainter the less sure, and A's confidence above it all.

    Both timelines reach from 0 to 1, so a line by the clock would be upright.
    """
    timeline(ax, a, 1, 1 + BAR)
    timeline(ax, b, -BAR, 0)
    shown = np.unique(np.linspace(0, len(a) - 1, min(NUM_LINES, len(a))).round().astype(int))
    starts, ends = share(shown, len(a)), share(found.frames[shown], len(b))
    segments = [((x, 1), (y, 0)) for x, y in zip(starts, ends, strict=True)]
    colors = [to_rgba(phase_color(a.poses.phase[t]), 0.15 + 0.65 * found.confidence[t]) for t in shown]
    ax.add_collection(LineCollection(segments, colors=colors, linewidths=1))
    base = 1 + 2 * BAR
    ax.fill_between(share(np.arange(len(a)), len(a)), base, base + 0.5 * found.confidence, color="#999999", linewidth=0)
    ax.plot([0, 1], [base, base], color="#999999", linewidth=0.6)
    ax.plot([0, 1], [base + 0.5, base + 0.5], color="#999999", linewidth=0.6, linestyle=":")
    label = {"ha": "right", "va": "center", "fontsize": 9, "color": INK}
    ax.text(-0.012, 1 + BAR / 2, "A", fontweight="bold", **label)
    ax.text(-0.012, -BAR / 2, "B", fontweight="bold", **label)
    ax.text(-0.012, base + 0.25, "confidence\n0 to 1", **label)
    for clip, height in ((a, 1 + BAR / 2), (b, -BAR / 2)):
        ax.text(1.012, height, f"{len(clip) / clip.poses.fps:.1f} s", **label | {"ha": "left"})
    ax.set(xlim=(0, 1), ylim=(-BAR - 0.05, base + 0.72))
    ax.set_axis_off()
