"""How commands write key events: a CSV that the readers take, and the lines of params.yaml that name it."""

import csv
from collections.abc import Sequence
from pathlib import Path

import typer

from pipeline.clip import Clip
from stages.base import PARAMS, Params


def write_events(
    path: Path,
    names: Sequence[str],
    more: Sequence[str],
    rows: Sequence[tuple[str, Clip, Sequence[int], Sequence]],
) -> None:
    """One row per sequence: who made its labels, the clip, its events (-1: absent; none: all absent), and the cells of the
    columns `more`.

    names: of the events. Events are frames of the raw video, as readers expect them; where not all of these were kept,
    their number is unknown.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["labels", "sequence", "action", "n_frames", *names, *more])
        for labels, clip, events, cells in rows:
            num_frames = len(clip.joints)
            frames = ["" if event < 0 else clip.video_frames[event] for event in events] or [""] * len(names)
            known = num_frames if clip.video_frames[-1] == num_frames - 1 else ""
            writer.writerow([labels, clip.name, clip.action, known, *frames, *cells])


def tell_entry(store: str, out: Path, names: Sequence[str], labels: str) -> None:
    """Print what to put into the data set's entry."""
    typer.echo(f"Below `source` of the data set in params.yaml; path: from its root, below which {out} must lie:")
    typer.echo(f"      events: {{path: {_below_root(store, out)}, action: action, columns: [{', '.join(names)}]}}")
    typer.echo(f"      labels: {labels}")


def _below_root(store: str, out: Path) -> str:
    """The path as the entry wants it, where the data set's root is known."""
    entries = Params(PARAMS).content.get("datasets") or {} if PARAMS.is_file() else {}
    root = Path(entries[store]["source"].get("root", ".")) if store in entries else out.parent
    below = out.resolve().is_relative_to(root.resolve())
    return out.resolve().relative_to(root.resolve()).as_posix() if below else out.name
