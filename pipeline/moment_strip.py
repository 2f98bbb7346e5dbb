"""The picture of a search: the moment, and beside it the same moment in other clips (the paper's Fig. 10)."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.correspondence_bar import GUESS
from pipeline.crop import crop_box
from pipeline.embedded import EmbeddedAction
from pipeline.figures import PHASE_COLORS, draw_skeleton
from pipeline.frame_store import FrameStore
from pipeline.gaps import fill
from pipeline.moments import Match
from pipeline.pictures_of import picture

COLUMNS = 6  # the moment and five matches in a row
CELL_IN = (1.9, 2.0)
UNLABELLED, RIGHT, WRONG = "#555555", "#228833", "#cc3311"
LINE_CHARACTERS = 24


def draw_cell(ax: Axes, embedded: EmbeddedAction, clip: int, frame: int, crops: FrameStore | None) -> None:
    """A frame of a clip: its picture, where one is kept, and the skeleton, coloured by phase; cut around the whole clip."""
    sequences, n = embedded.sequences, embedded.numbers[clip]
    rows = sequences.frames(n)
    joints, confidence = sequences.joints[rows], sequences.confidence[rows]
    phase = int(sequences.phase[rows][frame])
    left, top, width, height = crop_box(joints, confidence, padding=0.08).tolist()
    middle, half = np.array([left + width / 2, top + height / 2]), max(width / CELL_IN[0], height / CELL_IN[1]) / 2
    if seen := picture(sequences, n, frame, crops):
        ax.imshow(seen.image, extent=seen.extent, interpolation="bilinear", alpha=0.85)
    whole, ever = joints.copy(), (confidence > 0).any(axis=0)
    fill(whole, confidence > 0)
    draw_skeleton(ax, whole[frame], ever.astype(float), sequences.skeleton, GUESS)  # where a missing joint should be
    draw_skeleton(
        ax,
        joints[frame],
        confidence[frame],
        sequences.skeleton,
        PHASE_COLORS[phase % len(PHASE_COLORS)] if phase >= 0 else UNLABELLED,
    )
    across, down = half * CELL_IN[0], half * CELL_IN[1]
    ax.set(xlim=(middle[0] - across, middle[0] + across), ylim=(middle[1] + down, middle[1] - down), aspect="equal")
    ax.set(xticks=[], yticks=[])


def moment_strip(
    embedded: EmbeddedAction, clip: int, frame: int, matches: list[Match], crops: FrameStore | None = None
) -> Figure:
    """The moment at the left, its matches in rows of five, best first; a frame around each says whether the phase is the same."""
    num_rows = max(1, -(-len(matches) // (COLUMNS - 1)))
    num_columns = 1 + min(max(len(matches), 1), COLUMNS - 1)
    size = (num_columns * CELL_IN[0] + 0.2, num_rows * (CELL_IN[1] + 0.72) + 0.6)
    fig = Figure(size, layout="constrained")
    axes = fig.subplots(num_rows, num_columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    wanted = phase_of(embedded, clip, frame)
    _cell(axes[0, 0], embedded, clip, frame, crops, "the moment", "black", phase_name(embedded, wanted))
    for place, match in enumerate(matches):
        ax = axes[place // (COLUMNS - 1), 1 + place % (COLUMNS - 1)]
        phase = phase_of(embedded, match.clip, match.frame)
        known = min(phase, wanted) >= 0
        color = (RIGHT if phase == wanted else WRONG) if known else UNLABELLED
        verdict = ("same phase" if phase == wanted else f"other: {phase_name(embedded, phase)}") if known else ""
        title = f"{place + 1}.  confidence {match.confidence:.2f}"
        _cell(ax, embedded, match.clip, match.frame, crops, title, color, verdict)
    fig.suptitle(f"{embedded.sequences.dataset}, {embedded.action}: the same moment in other clips", fontsize=10)
    return fig


def phase_of(embedded: EmbeddedAction, clip: int, frame: int) -> int:
    """-1 where unlabelled."""
    return int(embedded.clips.phase[embedded.clips.frames(clip)][frame])


def phase_name(embedded: EmbeddedAction, phase: int) -> str:
    """What reports call it: after the event that it begins with."""
    names = embedded.sequences.event_names[embedded.action]
    if phase < 0:
        return ""
    if not names or phase > len(names):
        return f"phase {phase}"
    return f"from {names[phase - 1]}" if phase else f"before {names[0]}"


def _cell(ax: Axes, embedded: EmbeddedAction, clip: int, frame: int, crops, title: str, color: str, below: str) -> None:
    ax.set_axis_on()
    draw_cell(ax, embedded, clip, frame, crops)
    ax.spines[:].set(color=color, linewidth=2.5)
    ax.set_title(title, fontsize=8, pad=4)
    name = embedded.clips.names[clip]
    name = name if len(name) <= LINE_CHARACTERS else "…" + name[1 - LINE_CHARACTERS :]  # names differ at their end
    ax.set_xlabel(
        f"{name}\nframe {frame}\n{textwrap.fill(below, LINE_CHARACTERS)}", fontsize=7, labelpad=3, color=color
    )
