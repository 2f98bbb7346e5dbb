"""What the commands that look through a network share: which action, input and seed, and the embedded clips of these."""

from collections.abc import Sequence
from typing import Annotated

import typer

from commands.base import nearest
from pipeline.config import InputError
from pipeline.embedded import EmbeddedAction, load_embedded
from pipeline.frame_store import FrameStore
from stages.base import FRAMES, POSES, RESULTS

ActionOption = Annotated[str | None, typer.Option(help="The action; may be left out where the clips tell it.")]
InputOption = Annotated[str | None, typer.Option("--input", help="What the network sees, e.g. pose2d+rgb.")]
SeedOption = Annotated[int | None, typer.Option(help="Of the network; by default the first.")]


def embedded_clips(
    dataset: str, action: str | None, seen: str | None, seed: int | None, wanted: Sequence[str] = ()
) -> EmbeddedAction:
    """All clips of an action of a data set that `dvc repro` is through with; raises InputError as `load_embedded` does."""
    if not (RESULTS / dataset).is_dir():
        known = sorted(path.name for path in RESULTS.iterdir() if path.is_dir()) if RESULTS.is_dir() else []
        raise InputError(
            f"Expected a data set with results, but got {dataset!r}. {nearest(dataset, known)} If it is new, run `dvc repro`."
        )
    return load_embedded(POSES / dataset, RESULTS / dataset, action, seen, seed, wanted)


def picture_store(dataset: str) -> FrameStore | None:
    """The crops of a data set's pictures, if there are any, and they are of the poses as they are now."""
    try:
        return FrameStore(FRAMES / dataset, POSES / dataset)
    except InputError:
        return None
