"""Phases from a CSV: one row per frame (sequence, frame, phase) or per run of frames (sequence, start, end, phase)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import InputError
from pipeline.datasets.events import EventRow, check_columns, frame_of, read_lines, trimmed


@dataclass
class _Labels:
    """What was read of one sequence so far: its first row's place and cells, its frames, and where each phase begins."""

    where: str
    cells: dict[str, str]
    num_frames: int = 0
    phase: int = -1
    starts: dict[int, int] = field(default_factory=dict)


def read_phases(
    path: Path,
    phase_names: Sequence[str] | None = None,
    sequence_column: str = "sequence",
    action_column: str | None = None,
    group_column: str | None = None,
) -> dict[str, EventRow]:
    """Sequence -> the first frame of each of its phases but the first, in the file's order.

    Frames count from 0; `end` is the last frame of a run. The rows of a sequence cover it from frame 0 on without a gap,
    and its phases come in order; one may be left out. phase_names: the names in the column `phase`, in order; without
    them it holds integers from 0, and the events are called phase_1, phase_2, ... Raises InputError, with file and line,
    for a missing column, a frame that does not follow the last one, an unknown phase and one that comes too late.
    """
    columns, lines = read_lines(path)
    first, last = ("start", "end") if "start" in columns else ("frame", "frame")
    others = filter(None, (action_column, group_column))
    check_columns([sequence_column, first, last, "phase", *others], columns, path)
    sequences: dict[str, _Labels] = {}
    for where, cells in lines:
        name = cells[sequence_column]
        labels = sequences.setdefault(name, _Labels(where, cells))
        start, end = (_whole_number(cells[column], column, where) for column in (first, last))
        if start != labels.num_frames or end < start:
            raise InputError(
                f"Expected frame {labels.num_frames} of {name!r} next, but got {first} {start}"
                + (f", {last} {end}" if last != first else "")
                + f" in {where}. Put all its frames in order, from 0."
            )
        phase = _phase(cells["phase"], phase_names, where)
        if phase < labels.phase:
            raise InputError(
                f"Expected the phases of {name!r} in order, but got {cells['phase']!r} after a later one in {where}."
                " Correct the labels, or cut the video into sequences."
            )
        labels.starts.setdefault(phase, start)
        labels.num_frames, labels.phase = end + 1, phase
    num_phases = len(phase_names) if phase_names else 1 + max((s.phase for s in sequences.values()), default=0)
    event_names = tuple(phase_names[1:] if phase_names else (f"phase_{n}" for n in range(1, num_phases)))
    return trimmed(
        {
            name: EventRow(
                action=labels.cells[action_column] if action_column else "",
                events=tuple(labels.starts.get(phase, -1) for phase in range(1, num_phases)),
                event_names=event_names,
                num_frames=labels.num_frames,
                split=labels.cells.get("split") or None,
                where=labels.where,
                group=labels.cells[group_column] if group_column else "",
            )
            for name, labels in sequences.items()
        }
    )


def _whole_number(cell: str, column: str, where: str) -> int:
    number = frame_of(cell, column, where)
    if number is None:
        raise InputError(f"Expected a whole number from 0, but column {column!r} is empty in {where}. Fill it.")
    return number


def _phase(cell: str, names: Sequence[str] | None, where: str) -> int:
    if not names:
        return _whole_number(cell, "phase", where)
    if cell not in names:
        raise InputError(f"Expected a phase of {list(names)}, but got {cell!r} in {where}. Correct it or add its name.")
    return list(names).index(cell)
