"""Say what is in a pose store: sequences, lengths, what is missing, labelled and left out, and where it came from."""

import json
from typing import Annotated

import typer
from rich.console import Console

from commands.base import StoreArgument, console, find_store, print_table
from pipeline.inspection import Inspection, Part, Spread, inspect
from pipeline.sequence import read_sequences
from stages.base import stage

app = typer.Typer(add_completion=False)
NUM_NAMES = 5


@app.command("info", help=__doc__)
@stage
def main(
    store: StoreArgument,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON, for machines.")] = False,
) -> None:
    path = find_store(store)
    found = inspect(read_sequences(path))
    if as_json:
        typer.echo(json.dumps({"store": str(path)} | found.to_dict(), indent=1, allow_nan=False))
    else:
        show(found, str(path), console())


def show(found: Inspection, path: str, out: Console) -> None:
    out.print(f"{found.dataset}: {found.dimensions}D poses ({found.poses}), skeleton {found.skeleton}, in {path}")
    out.print(
        f"{found.sequences} sequences, {found.frames} frames, {found.seconds:.0f} s; {found.with_video} with their video;"
        f" {found.missing_percent:.1f} % of joints missing, {found.nobody_percent:.1f} % of frames with nobody"
    )
    columns = ("action", "split", "sequences", "frames", "length", "seconds", "fps", "nobody %", "labelled")
    print_table(
        out, "Sequences (length, seconds, fps: smallest / median / largest)", columns, map(_row, found.parts), left=2
    )
    events = [
        (action, len(counts) + 1 if counts else "-", ", ".join(f"{name}: {n}" for name, n in counts.items()) or "none")
        for action, counts in found.events.items()
    ]
    title = f"Key events, and in how many sequences they are (labels: {found.labels})"
    print_table(out, title, ("action", "phases", "key events"), events, left=3)
    joints = [
        (joint.name, f"{joint.missing_percent:.1f}", "-" if joint.confidence is None else f"{joint.confidence:.2f}")
        for joint in found.joints
    ]
    print_table(out, "Joints over all frames", ("joint", "missing %", "mean confidence"), joints)
    left_out = [(len(group.names), group.reason, _some(group.names)) for group in found.left_out]
    if left_out:
        print_table(out, "Left out", ("sequences", "reason (of the first)", "names"), left_out, left=3)
    if found.provenance:
        print_table(out, "How the poses came about", ("fact", "value"), found.provenance.items(), left=2)


def _row(part: Part) -> list:
    spreads = map(_spread, (part.length, part.seconds, part.fps))
    counts = (part.sequences, part.frames)
    return [part.action, part.split, *counts, *spreads, f"{part.nobody_percent:.1f}", part.labelled]


def _spread(spread: Spread) -> str:
    values = [f"{round(value, 2):g}" for value in (spread.min, spread.median, spread.max)]
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join([*names[:NUM_NAMES], "..."] if len(names) > NUM_NAMES else names)


if __name__ == "__main__":
    app()
