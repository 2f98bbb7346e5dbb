"""Draw one sequence: the skeleton over its video, or on white, and its heatmaps; a sheet of frames, or a film."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from commands.base import StoreArgument, find_store, nearest
from pipeline.config import InputError
from pipeline.contact_sheet import Take, contact_sheet, film, take
from pipeline.heatmap_store import HeatmapStore
from pipeline.performance import footage
from pipeline.progress import progress_bar
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import PoseSequences, read_sequences
from pipeline.video import frames as read_frames
from pipeline.video import write_video
from stages.base import HEATMAPS, POSES, stage

app = typer.Typer(add_completion=False)
log = logging.getLogger(__name__)


@app.command("show", help=__doc__)
@stage
def main(
    store: StoreArgument,
    sequence: Annotated[str, typer.Argument(help="Name of the sequence.")],
    out: Annotated[
        Path | None, typer.Option(help="A .png, or an .mp4 of every frame; by default SEQUENCE.png.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="How many frames a .png shows, evenly spaced.")] = 8,
) -> None:
    out = out or Path(sequence.replace("/", "_") + ".png")
    if out.suffix not in (".png", ".mp4"):
        raise InputError(f"Expected a .png or .mp4, but got {out} in --out. Name one of these.")
    path = find_store(store)
    sequences = read_sequences(path)
    if sequence not in sequences.names:
        known = nearest(sequence, list(sequences.names))
        raise InputError(f"Expected a sequence of {path}, but got {sequence!r}. {known}")
    n = sequences.names.index(sequence)
    shown = _with_heatmaps(take(project(sequences, ProjectConfig()), n), path, sequences.frames(n), n)
    film_wanted = out.suffix == ".mp4"
    rows = (
        list(range(len(shown)))
        if film_wanted
        else np.unique(np.linspace(0, len(shown) - 1, frames).round().astype(int)).tolist()
    )
    images = _images(sequences, n, rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    if film_wanted:
        with progress_bar("frames") as progress:
            write_video(out, progress.track(film(shown, images), len(shown), description="film"), shown.fps)
    else:
        contact_sheet(shown, rows, images).savefig(out, dpi=100, metadata={"Software": None})
    typer.echo(
        f"{out}  frames={len(rows)}  video={'yes' if images else 'no'}  heatmaps={'no' if shown.heatmaps is None else 'yes'}"
    )


def _with_heatmaps(shown: Take, path: Path, frames: slice, n: int) -> Take:
    """With the heatmaps drawn from the store at `path`, if there are any, and it is as it was then."""
    heatmaps = HEATMAPS / path.name
    if path.resolve() != (POSES / path.name).resolve() or not heatmaps.is_dir():
        return shown
    try:
        store = HeatmapStore(heatmaps, path)
        return replace(shown, heatmaps=store.frames(frames), channels=store.config.channels, box=store.boxes[n])
    except InputError as error:
        log.warning("without heatmaps: %s", error)
        return shown


def _images(sequences: PoseSequences, n: int, rows: list[int]) -> Iterator[np.ndarray] | None:
    """The video's frames, where the joints are its pixels."""
    video = footage(sequences, n)
    return video and read_frames(video, sequences.video_frames[sequences.frames(n)][rows])


if __name__ == "__main__":
    app()
