"""Derive the key events of a pose store's sequences from their joints, and write them as a CSV that the readers take."""

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from commands.base import StoreArgument, find_store
from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.figures import plt
from pipeline.key_events import Definition, Derived, derive, load_definition, preview
from pipeline.progress import progress_bar
from pipeline.sequence import clips_of, read_sequences
from stages.base import PARAMS, Params, stage, summary

app = typer.Typer(add_completion=False)


@app.command("events", help=__doc__)
@stage
def main(
    store: StoreArgument,
    definition: Annotated[str, typer.Option(help="Name of a built-in definition, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    action: Annotated[str | None, typer.Option(help="Only the sequences of this action.")] = None,
    previews: Annotated[Path | None, typer.Option("--preview", help="Folder for one picture per sequence.")] = None,
) -> None:
    started = time.monotonic()
    rule = load_definition(definition)
    sequences = read_sequences(find_store(store))
    clips = [clip for clip in clips_of(sequences) if action in (None, clip.action)]
    if not clips:
        raise InputError(
            f"Expected an action of {list(sequences.event_names)}, but got {action!r} for {store}. Correct it."
        )
    found = [derive(clip.joints, clip.confidence, sequences.skeleton, clip.fps, rule) for clip in clips]
    write(out, clips, found, rule)
    if previews:
        previews.mkdir(parents=True, exist_ok=True)
        with progress_bar("picture") as bar:
            for clip, derived in bar.track(list(zip(clips, found, strict=True)), description="draw"):
                figure, _ = preview(clip, sequences.skeleton, rule, derived)
                figure.savefig(previews / f"{clip.name.replace('/', '_')}.png")
                plt.close(figure)
    reasons = Counter("; ".join(derived.reasons) for derived in found if derived.reasons)
    counts = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
    unclean = f"{reasons.total()} ({counts})" if reasons else 0
    columns = ", ".join(event.name for event in rule.events)
    typer.echo(f"Below `source` of the data set in params.yaml; path: from its root, below which {out} must lie:")
    typer.echo(f"      events: {{path: {_below_root(store, out)}, action: action, columns: [{columns}]}}")
    typer.echo("      labels: derived")
    summary(started, labels="derived", definition=definition, sequences=len(clips), unclean=unclean, out=out)


def _below_root(store: str, out: Path) -> str:
    """The path as the entry wants it, where the data set's root is known."""
    entries = Params(PARAMS).content.get("datasets") or {} if PARAMS.is_file() else {}
    root = Path(entries[store]["source"].get("root", ".")) if store in entries else out.parent
    below = out.resolve().is_relative_to(root.resolve())
    return out.resolve().relative_to(root.resolve()).as_posix() if below else out.name


def write(path: Path, clips: list[Clip], found: list[Derived], rule: Definition) -> None:
    """One row per sequence; every row begins with who made the labels, and one of an unclean clip ends with why.

    Events are frames of the raw video, as readers expect them; where not all of these were kept, their number is unknown.
    """
    names = [event.name for event in rule.events]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["labels", "sequence", "action", "n_frames", *names, "unclean"])
        for clip, derived in zip(clips, found, strict=True):
            num_frames = len(clip.joints)
            events = [clip.video_frames[event] for event in derived.events] or [""] * len(names)
            known = num_frames if clip.video_frames[-1] == num_frames - 1 else ""
            writer.writerow(["derived", clip.name, clip.action, known, *events, "; ".join(derived.reasons)])


if __name__ == "__main__":
    app()
