"""Key events from a CSV: one row per sequence, one column per event, frames 0-based, an empty cell where absent."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.config import InputError


@dataclass(frozen=True)
class EventRow:
    """The key events of one sequence; `where` names file and line in errors.

    events: first frame of each phase but the first, -1 where absent, as many as the action has. num_frames, split:
    the cells of the columns `n_frames` and `split`, None where they are empty or not there. group: performer or
    recording, "" if unknown. seconds: times of the events from the video's start, -1 where absent, of labels that are not
    in frames; `events` is then empty until `in_frames` fills it. labels: the cell of the optional column `labels`, which
    says who made them.
    """

    action: str
    events: tuple[int, ...]
    event_names: tuple[str, ...]
    num_frames: int | None
    split: str | None
    where: str
    group: str = ""
    seconds: tuple[float, ...] | None = None
    labels: str = ""


def read_events(
    path: Path,
    sequence_columns: Sequence[str] = ("sequence",),
    action_column: str | None = None,
    event_columns: Sequence[str] | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
) -> dict[str, EventRow]:
    """Sequence -> its row, in the file's order.

    sequence_columns: their cells, joined by "/", name the sequence. event_columns: by default those whose name begins
    with "event". The last columns, where all rows of an action are empty, are no events of that action. Raises
    InputError, with file and line, for a missing column, a ragged row, a sequence named twice and a cell that is no
    frame. Whether events lie in the clip and in order is checked with the poses, by `sequence.check_clip`.
    """
    columns, lines = read_lines(path)
    if event_columns is None:
        event_columns = [column for column in columns if column.startswith("event")]
    wanted = [*sequence_columns, *filter(None, (action_column, group_column, split_column)), *event_columns]
    check_columns(wanted, columns, path)
    rows: dict[str, EventRow] = {}
    for where, cells in lines:
        name = "/".join(cells[column] for column in sequence_columns)
        if name in rows:
            raise InputError(f"Expected one row of each sequence, but got {name!r} in {where}, too. Remove one row.")
        frames = [frame_of(cells[column], column, where) for column in event_columns]
        rows[name] = EventRow(
            action=cells[action_column] if action_column else "",
            events=tuple(-1 if frame is None else frame for frame in frames),
            event_names=tuple(event_columns),
            num_frames=frame_of(cells.get("n_frames", ""), "n_frames", where),
            split=cells.get(split_column or "split") or None,
            where=where,
            group=cells[group_column] if group_column else "",
            labels=cells.get("labels", ""),
        )
    return trimmed(rows)


def check_rows(rows: dict[str, EventRow], num_frames: Mapping[str, int | None], where: Path) -> None:
    """Raise InputError for a row whose sequence is not among those found, or has another number of frames.

    num_frames: of the sequences found, None where it is not known.
    """
    for name, row in rows.items():
        if name not in num_frames:
            raise InputError(
                f"Expected the name of a sequence in {where}, but got {name!r} in {row.where}. Correct or remove the row."
            )
        if None not in (row.num_frames, num_frames[name]) and row.num_frames != num_frames[name]:
            raise InputError(
                f"Expected n_frames {num_frames[name]}, but got {row.num_frames} for {name!r} in {row.where}."
                " Give events that belong to these poses."
            )


def in_frames(row: EventRow, times: np.ndarray) -> EventRow:
    """The row with its seconds turned into frames; a row that is in frames already is returned as it is.

    times: (T,) seconds of the frames, rising; a video resampled to a higher rate repeats some. An event is the first frame at or after its time, where a frame that
    is early by up to half a frame's duration still counts; the last frame counts as long as it lasts. Raises InputError
    for an event after that.
    """
    if row.seconds is None:
        return row
    durations = np.diff(np.unique(times))
    duration = np.median(durations) if len(durations) else 0.0
    last = len(times) - 1
    events = [-1 if time < 0 else min(last, int(np.searchsorted(times, time - duration / 2))) for time in row.seconds]
    for name, time in zip(row.event_names, row.seconds, strict=True):
        if time > times[-1] and time >= times[-1] + duration:
            raise InputError(
                f"Expected {name!r} in the video, which ends at {times[-1]:.3f} s, but got {time:.3f} s in {row.where}."
                " Give labels that belong to this video."
            )
    return replace(row, events=tuple(events), seconds=None)


def in_step(row: EventRow, video_frames: np.ndarray, num_frames: int | None = None) -> EventRow:
    """The row with its events, frames of the raw video, counted in the frames that were kept of it.

    video_frames: (T,) rising frames of the video. An event becomes the first index whose frame is not before it; the
    last kept frame stands for those after it up to where the next would have been, or to the end of the video where
    num_frames tells it. An absent event stays absent. Raises InputError for an event after that.
    """
    steps = np.diff(np.unique(video_frames))
    step = np.median(steps) if len(steps) else 1
    end = video_frames[-1] + step if num_frames is None else num_frames
    last = len(video_frames) - 1
    events = [-1 if event < 0 else min(last, int(np.searchsorted(video_frames, event))) for event in row.events]
    for name, event in zip(row.event_names, row.events, strict=True):
        if event > video_frames[-1] and event >= end:
            raise InputError(
                f"Expected {name!r} up to video frame {video_frames[-1]}, the last one kept, but got {event} in {row.where}."
                " Keep more frames, or leave the event empty."
            )
    return replace(row, events=tuple(events))


def read_lines(path: Path) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """A CSV's columns, and of each row after them the file and line for errors and the cells by column.

    Raises InputError for a file that is no CSV, and a row of another number of cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="surplus", strict=True)
            columns = list(reader.fieldnames or ())
            lines = [(f"{path}, line {reader.line_num}", cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Expected a CSV file, but got {error} in {path}. Give another file.") from None
    for where, cells in lines:
        if "surplus" in cells or None in cells.values():
            raise InputError(f"Expected {len(columns)} cells, but got another number in {where}. Correct the row.")
    return columns, lines


def check_columns(wanted: Sequence[str], columns: Sequence[str], path: Path) -> None:
    """Raise InputError, with the columns that there are, if a wanted one is missing."""
    if missing := [column for column in wanted if column not in columns]:
        raise InputError(f"Expected column {missing[0]!r}, but got {columns} in {path}, line 1. Add or rename it.")


def frame_of(cell: str, column: str, where: str) -> int | None:
    """A cell's whole number from 0, which spreadsheets also write as 3.0; None if empty. Raises InputError otherwise."""
    if not cell.strip():
        return None
    try:
        number = float(cell)
        frame = int(number)  # an integer of this size is exact as a float
    except (ValueError, OverflowError):
        number, frame = -1, -1
    if frame < 0 or frame != number:
        raise InputError(
            f"Expected a whole number from 0, or nothing, but got {cell!r} in column {column!r} of {where}. Correct it."
        )
    return frame


def trimmed(rows: dict[str, EventRow]) -> dict[str, EventRow]:
    """The rows without the last events, where all rows of an action lack them."""
    num_events: dict[str, int] = {}
    for row in rows.values():
        used = max((number for number, event in enumerate(row.events, start=1) if event >= 0), default=0)
        num_events[row.action] = max(used, num_events.get(row.action, 0))
    return {
        name: replace(
            row, events=row.events[: num_events[row.action]], event_names=row.event_names[: num_events[row.action]]
        )
        for name, row in rows.items()
    }
