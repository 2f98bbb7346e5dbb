"""An inspection as tables, for the terminal and for the report."""

from pipeline.inspection import Inspection, Part, Spread
from pipeline.tables import Table

NUM_NAMES = 5


def overview(found: Inspection) -> str:
    """How much there is, and how much of it is missing, in one line."""
    return (
        f"{found.sequences} sequences, {found.frames} frames, {found.seconds:.0f} s; {found.with_video} with their video;"
        f" {found.missing_percent:.1f} % of joints missing, {found.nobody_percent:.1f} % of frames with nobody"
    )


def inspection_tables(found: Inspection) -> dict[str, Table]:
    """sequences, events, joints; left_out and provenance where there is something to tell."""
    columns = ["action", "split", "sequences", "frames", "length", "seconds", "fps", "nobody %", "labelled"]
    title = "Sequences (length, seconds, fps: smallest / median / largest)"
    tables = {"sequences": Table(title, columns, [_part(part) for part in found.parts], 2)}
    events = [
        [
            action,
            str(len(counts) + 1) if counts else "-",
            ", ".join(f"{name}: {n}" for name, n in counts.items()) or "none",
        ]
        for action, counts in found.events.items()
    ]
    title = f"Key events, and in how many sequences they are (labels: {found.labels})"
    tables["events"] = Table(title, ["action", "phases", "key events"], events, 3)
    joints = [
        [joint.name, f"{joint.missing_percent:.1f}", "-" if joint.confidence is None else f"{joint.confidence:.2f}"]
        for joint in found.joints
    ]
    tables["joints"] = Table("Joints over all frames", ["joint", "missing %", "mean confidence"], joints)
    if found.left_out:
        rows = [[str(len(group.names)), group.reason, _some(group.names)] for group in found.left_out]
        tables["left_out"] = Table("Left out", ["sequences", "reason (of the first)", "names"], rows, 3)
    if found.provenance:
        rows = [list(fact) for fact in found.provenance.items()]
        tables["provenance"] = Table("How the poses came about", ["fact", "value"], rows, 2)
    return tables


def _part(part: Part) -> list[str]:
    spreads = map(_spread, (part.length, part.seconds, part.fps))
    counts = (str(part.sequences), str(part.frames))
    return [part.action, part.split, *counts, *spreads, f"{part.nobody_percent:.1f}", str(part.labelled)]


def _spread(spread: Spread) -> str:
    values = [f"{round(value, 2):g}" for value in (spread.min, spread.median, spread.max)]
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join([*names[:NUM_NAMES], "..."] if len(names) > NUM_NAMES else names)
