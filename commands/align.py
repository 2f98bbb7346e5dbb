"""Align sequences or videos in time: tables of the frames that belong together, a film in step, a picture of the lines."""

import time
from pathlib import Path
from typing import Annotated

import typer

from commands.align_sides import Sides
from commands.base import console, print_table
from pipeline.alignment_files import Alignment, align, write_pictures, write_tables
from pipeline.config import InputError
from pipeline.progress import progress_bar
from stages.base import PARAMS, ParamsOption, stage, summary

app = typer.Typer(add_completion=False)
SHOWN = {"mean_distance": 3, "mean_confidence": 2, "event_error_percent": 1, "event_error_by_clock_percent": 1}


@app.command("align", help=__doc__)
@stage
def main(
    a: Annotated[str, typer.Argument(help="Name of a sequence, or a video file.")],
    b: Annotated[str | None, typer.Argument(help="The other; or a folder of videos: A with each of them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="A with every other sequence of --split.")] = False,
    split: Annotated[str, typer.Option(help="Of --all: train, val or both.")] = "val",
    dataset: Annotated[str | None, typer.Option(help="Whose networks embed; by default the only one.")] = None,
    action: Annotated[str | None, typer.Option(help="By default the one that A's name tells.")] = None,
    seen: Annotated[str | None, typer.Option("--input", help="What the network sees; by default pose2d.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the network; by default the first.")] = None,
    method: Annotated[str, typer.Option(help="dtw, a path that never goes back, or nearest.")] = "dtw",
    estimator: Annotated[str | None, typer.Option(help="Of videos, where the data set has none.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("alignment"),
    videos: Annotated[bool, typer.Option("--videos", help="Of A with several: pictures and films, too.")] = False,
    params: ParamsOption = PARAMS,
) -> None:
    started = time.monotonic()
    if (b is None) != everything:
        raise InputError(f"Expected B, or --all, but got {'both' if b else 'neither'}. Give one.")
    sides = Sides.load(params, dataset, action, seen, seed, estimator, [a] if b is None else [a, b])
    several = everything or sides.is_folder(b)
    first = sides.clip(a)
    others = sides.others(a, split) if everything else sides.folder(b) if several else [sides.clip(b)]
    found = align(first, others, method)
    write_tables(found, out, sides.facts, several)
    if videos or not several:
        with progress_bar("frames") as progress:
            for one in found:
                write_pictures(one, out / one.b.name.replace("/", "_") if several else out, progress)
    if several:
        _table(found)
    summary(started, **sides.facts, **({} if several else found[0].summary), others=len(found), out=out)


def _table(found: list[Alignment]) -> None:
    rows = [(one.b.name, len(one.b), *_numbers(one.summary)) for one in found]
    columns = ("sequence", "frames", *(key.replace("_percent", ", %").replace("_", " ") for key in SHOWN))
    print_table(console(), f"Alignments of {found[0].a.name}, the nearest first", columns, rows)


def _numbers(facts: dict) -> list[str]:
    return [f"{facts[key]:.{digits}f}" if key in facts else "-" for key, digits in SHOWN.items()]


if __name__ == "__main__":
    app()
