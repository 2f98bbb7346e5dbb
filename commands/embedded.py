"""What the commands that look through a network share: which action, input and seed, and the embedded clips of these."""

from typing import Annotated

import typer

from pipeline.config import InputError
from pipeline.embedded import EmbeddedAction, load_embedded
from pipeline.frame_store import FrameStore
from stages.base import FRAMES, POSES, RESULTS

ActionOption = Annotated[str | None, typer.Option(help="The action; may be left out where there is one.")]
InputOption = Annotated[str | None, typer.Option("--input", help="What the network sees, e.g. pose2d+rgb.")]
SeedOption = Annotated[int | None, typer.Option(help="Of the network; by default the first.")]


def embedded_clips(dataset: str, action: str | None, seen: str | None, seed: int | None) -> EmbeddedAction:
    """All clips of an action of a data set that `dvc repro` is through with; raises InputError as `load_embedded` does."""
    return load_embedded(POSES / dataset, RESULTS / dataset, action, seen, seed)


def picture_store(dataset: str) -> FrameStore | None:
    """The crops of a data set's pictures, if there are any, and they are of the poses as they are now."""
    try:
        return FrameStore(FRAMES / dataset, POSES / dataset)
    except InputError:
        return None
