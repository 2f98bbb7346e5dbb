"""Carry the key events of one or a few labelled clips to all others of their action, each with a confidence."""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from commands.embedded import ActionOption, InputOption, SeedOption, embedded_clips
from commands.events_file import tell_entry, write_events
from pipeline.config import InputError
from pipeline.correspondence import Method
from pipeline.datasets.events import EventRow, in_step, read_events, read_lines
from pipeline.embedded import EmbeddedAction
from pipeline.label_transfer import transfer
from pipeline.sequence import clips_of
from stages.base import DatasetArgument, stage, summary

app = typer.Typer(add_completion=False)
NO_EVENTS = {"labels", "sequence", "action", "n_frames", "split", "group", "unclean"}  # columns; and `confidence_...`


@app.command("transfer", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    names: Annotated[str | None, typer.Option("--from", help="Labelled clips of the data set: NAME[,NAME...].")] = None,
    events: Annotated[
        Path | None, typer.Option("--from-events", help="CSV of the labelled clips: sequence and the key events.")
    ] = None,
    action: ActionOption = None,
    seen: InputOption = None,
    seed: SeedOption = None,
    method: Annotated[Method, typer.Option(help="Nearest frame, or monotone path.")] = "dtw",
) -> None:
    started = time.monotonic()
    if (names is None) == (events is None):
        raise InputError(
            "Expected --from or --from-events, but got both or none. Name labelled clips, or give their CSV."
        )
    labelled = names.split(",") if names else list(read_events(events, event_columns=[]))
    embedded = embedded_clips(dataset, action, seen, seed, labelled)
    given, event_names = _given(embedded, names.split(",")) if names else _from_file(embedded, events)
    references = [embedded.features(i) for i in given]
    clips = list(clips_of(embedded.sequences))
    rows, sure = [], []
    for i, number in enumerate(embedded.numbers):
        if i in given:
            rows.append((given[i].labels, clips[number], given[i].events, [""] * len(event_names)))
            continue
        found, confidence = transfer(references, _events(given), embedded.features(i), method)
        sure += confidence[found >= 0].tolist()
        cells = [f"{value:.3f}" if event >= 0 else "" for event, value in zip(found, confidence, strict=True)]
        rows.append(("carried", clips[number], found.tolist(), cells))
    write_events(out, event_names, [f"confidence_{name}" for name in event_names], rows)
    tell_entry(dataset, out, event_names, "carried")
    typer.echo("note: scores against these labels favour the network that carried them, and flatter it", err=True)
    facts = {"labelled": len(given), "carried_to": len(rows) - len(given), "method": method, "input": embedded.input}
    median = f"{np.median(sure):.2f}" if sure else "none"
    summary(started, labels="carried", action=embedded.action, **facts, median_confidence=median, out=out)


def _events(given: dict[int, EventRow]) -> np.ndarray:
    return np.array([row.events for row in given.values()])


def _given(embedded: EmbeddedAction, names: list[str]) -> tuple[dict[int, EventRow], list[str]]:
    """The labelled clips by their number, and the names of the events."""
    event_names = embedded.sequences.event_names[embedded.action]
    found = {}
    for name in names:
        events = tuple(embedded.clips.events[i := embedded.find(name)].tolist())
        if not any(event >= 0 for event in events):
            raise InputError(f"Expected a clip with key events, but {name!r} has none. Label it, or name another.")
        found[i] = EventRow(embedded.action, events, event_names, None, None, "", labels=embedded.sequences.labels)
    return found, list(event_names)


def _from_file(embedded: EmbeddedAction, path: Path) -> tuple[dict[int, EventRow], list[str]]:
    """As `_given`; every column that is not one of NO_EVENTS or a confidence holds an event."""
    columns = [c for c in read_lines(path)[0] if c not in NO_EVENTS and not c.startswith("confidence_")]
    rows = read_events(path, event_columns=columns)
    frames = [embedded.sequences.frames(number) for number in embedded.numbers]
    found = {}
    for name, row in rows.items():
        i = embedded.find(name)
        row = in_step(row, embedded.sequences.video_frames[frames[i]], row.num_frames)
        present = [event for event in row.events if event >= 0]
        if not present or any(b <= a for a, b in pairwise(present)):
            raise InputError(f"Expected key events in order, but got {row.events} in {row.where}. Correct the row.")
        found[i] = replace(row, labels=row.labels or "human")
    if not found:
        raise InputError(f"Expected the row of a labelled clip, but there is none in {path}. Label one.")
    return found, columns[: len(next(iter(found.values())).events)]


if __name__ == "__main__":
    app()
