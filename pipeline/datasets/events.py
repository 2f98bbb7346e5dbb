"""Key events from a CSV: one row per sequence, one column per event, frames 0-based, an empty cell where absent."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import InputError


@dataclass(frozen=True)
class EventRow:
    """The key events of one sequence; `where` names file and line in errors.

    events: first frame of each phase but the first, -1 where absent, as many as the action has. num_frames, split:
    the cells of the optional columns `n_frames` and `split`.
    """

    action: str
    events: tuple[int, ...]
    event_names: tuple[str, ...]
    num_frames: int | None
    split: str | None
    where: str


def read_events(
    path: Path,
    sequence_columns: Sequence[str] = ("sequence",),
    action_column: str | None = None,
    event_columns: Sequence[str] | None = None,
) -> dict[str, EventRow]:
    """Sequence -> its row, in the file's order.

    sequence_columns: their cells, joined by "/", name the sequence. event_columns: by default those whose name begins
    with "event". The last columns, where all rows of an action are empty, are no events of that action. Raises
    InputError, with file and line, for a missing column, a ragged row, a sequence named twice and a cell that is no
    frame. Whether events lie in the clip and in order is checked with the poses, by `sequence.check_clip`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="surplus", strict=True)
            columns = list(reader.fieldnames or ())
            lines = [(f"{path}, line {reader.line_num}", cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Expected a CSV of key events, but got {error} in {path}. Give another file.") from None
    if event_columns is None:
        event_columns = [column for column in columns if column.startswith("event")]
    wanted = [*sequence_columns, *([action_column] if action_column else []), *event_columns]
    if missing := [column for column in wanted if column not in columns]:
        raise InputError(f"Expected column {missing[0]!r}, but got {columns} in {path}, line 1. Add or rename it.")
    rows: dict[str, EventRow] = {}
    for where, cells in lines:
        if "surplus" in cells or None in cells.values():
            raise InputError(f"Expected {len(columns)} cells, but got another number in {where}. Correct the row.")
        name = "/".join(cells[column] for column in sequence_columns)
        if name in rows:
            raise InputError(f"Expected one row of each sequence, but got {name!r} in {where}, too. Remove one row.")
        frames = [_frame(cells[column], column, where) for column in event_columns]
        rows[name] = EventRow(
            action=cells[action_column] if action_column else "",
            events=tuple(-1 if frame is None else frame for frame in frames),
            event_names=tuple(event_columns),
            num_frames=_frame(cells.get("n_frames", ""), "n_frames", where),
            split=cells.get("split") or None,
            where=where,
        )
    return _trimmed(rows)


def check_rows(rows: dict[str, EventRow], num_frames: dict[str, int], where: Path) -> None:
    """Raise InputError for a row whose sequence is not among those found, or has another number of frames."""
    for name, row in rows.items():
        if name not in num_frames:
            raise InputError(
                f"Expected the name of a sequence in {where}, but got {name!r} in {row.where}. Correct or remove the row."
            )
        if row.num_frames not in (None, num_frames[name]):
            raise InputError(
                f"Expected n_frames {num_frames[name]}, but got {row.num_frames} for {name!r} in {row.where}."
                " Give events that belong to these poses."
            )


def _frame(cell: str, column: str, where: str) -> int | None:
    if not cell.strip():
        return None
    try:
        frame = int(cell)
    except ValueError:
        frame = -1
    if frame < 0:
        raise InputError(
            f"Expected a whole number from 0, or nothing, but got {cell!r} in column {column!r} of {where}. Correct it."
        )
    return frame


def _trimmed(rows: dict[str, EventRow]) -> dict[str, EventRow]:
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
