"""Labels of a data set: which file, in which format, and how they come to the clips."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.clip import Clip
from pipeline.config import Config, InputError
from pipeline.datasets.annotations import read_annotations
from pipeline.datasets.events import EventRow, in_frames, in_step, read_events
from pipeline.datasets.files import below
from pipeline.datasets.phases import read_phases


class EventsConfig(Config):
    """A file of labels. path: relative to the data set's root.

    format: events, a CSV of key events (`read_events`); phases, a CSV of every frame's phase (`read_phases`); annotations,
    an export of ELAN or VIA (`read_annotations`). sequence: columns whose cells, joined by "/", are the sequence's name.
    action, group, split: the columns of these, if they are to be taken from here. columns: those of the key events.
    phases: the names of the phases in order. tier: ELAN's tier or VIA's attribute.
    """

    path: Path
    format: Literal["events", "phases", "annotations"] = "events"
    sequence: list[str] = Field(["sequence"], min_length=1)
    action: str | None = None
    group: str | None = None
    split: str | None = None
    columns: list[str] | None = None
    phases: list[str] | None = Field(None, min_length=2)
    tier: str | None = None

    @model_validator(mode="after")
    def _belongs(self) -> "EventsConfig":
        if self.format == "annotations" and self.phases is None:
            raise ValueError("annotations need the names of the phases, in order: phases")
        if self.format == "phases" and len(self.sequence) > 1:
            raise ValueError("phases need one column for the sequence")
        if self.format != "events" and self.split:
            raise ValueError("split is a column of format: events")
        return self


def read_labels(events: EventsConfig, root: Path, labels: str) -> dict[str, EventRow]:
    """Sequence -> its row. labels: who is said to have made them; raises InputError if the file says otherwise."""
    path = below(root, events.path)
    if events.format == "phases":
        return read_phases(path, events.phases, events.sequence[0], events.action, events.group)
    if events.format == "annotations":
        return read_annotations(path, events.phases, events.tier)
    rows = read_events(path, events.sequence, events.action, events.columns, events.group, events.split)
    for made in ("carried", "derived"):  # a file with both is of the less trustworthy kind
        found = [row.where for row in rows.values() if row.labels == made]
        if found and labels != made:
            raise InputError(f"Expected {labels} labels, but got {made} ones in {found[0]}. Set 'labels' to {made}.")
        if found:
            break
    return rows


def video_length(clip: Clip) -> int | None:
    """Frames of the clip's raw video, or None where the rows are a part of it: nobody knows how many follow the last."""
    num_rows = len(clip.joints)
    return num_rows if clip.video_frames is None or np.array_equal(clip.video_frames, np.arange(num_rows)) else None


def labelled(clip: Clip, row: EventRow, events: EventsConfig, num_frames: int | None = None) -> Clip:
    """The clip with the events of a row, in step with its frames, and the row's action, group and split, if wanted.

    num_frames: of the raw video, None where it is not known.
    """
    if row.seconds is not None:
        row = in_frames(row, np.arange(len(clip.joints)) / clip.fps if clip.times is None else clip.times)
    elif clip.video_frames is not None:
        row = in_step(row, clip.video_frames, num_frames)
    source = f"{clip.source}, events of {row.where}"
    more = {"group": row.group or clip.group, "split": row.split or "" if events.split else clip.split}
    return replace(clip, action=row.action or clip.action, events=row.events, source=source, **more)


def merged(clip: Clip, row: EventRow) -> str | None:
    """What is wrong where events that a row holds one after the other are in one frame of the clip, or None."""
    present = [number for number, event in enumerate(clip.events) if event >= 0]
    found = row.events if row.seconds is None else row.seconds
    for a, b in pairwise(present):
        if clip.events[a] == clip.events[b] and found[a] < found[b]:
            return f"events {a + 1} and {b + 1} fall on one frame at {clip.fps:g} fps"
    return None
