"""Derive the key events of a pose store's sequences from their joints, and write them as a CSV that the readers take."""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from commands.base import StoreArgument, find_store
from commands.events_file import tell_entry, write_events
from pipeline.config import InputError
from pipeline.figures import plt
from pipeline.key_events import derive, load_definition, preview
from pipeline.progress import progress_bar
from pipeline.sequence import clips_of, read_sequences
from stages.base import stage, summary

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
    names = [event.name for event in rule.events]
    rows = [
        ("derived", clip, derived.events, ["; ".join(derived.reasons)])
        for clip, derived in zip(clips, found, strict=True)
    ]
    write_events(out, names, ["unclean"], rows)
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
    tell_entry(store, out, names, "derived")
    summary(started, labels="derived", definition=definition, sequences=len(clips), unclean=unclean, out=out)


if __name__ == "__main__":
    app()
