"""Find a moment, a frame of one clip, again in all other clips of its action: a table and a strip of pictures."""

import csv
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from commands.embedded import ActionOption, InputOption, SeedOption, embedded_clips, picture_store
from pipeline.embedded import EmbeddedAction
from pipeline.moment_strip import moment_strip, phase_of
from pipeline.moments import Match, nearest_moments, search
from stages.base import DatasetArgument, stage, summary

app = typer.Typer(add_completion=False)
COLUMNS = (
    "rank",
    "sequence",
    "split",
    "frame",
    "video_frame",
    "seconds",
    "distance",
    "confidence",
    "phase",
    "same_phase",
)


@app.command("search", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    clip: Annotated[str, typer.Argument(help="Name of the sequence.")],
    frame: Annotated[int, typer.Argument(help="The moment: a row of the sequence, from 0.")],
    out: Annotated[Path, typer.Option(help="Folder for matches.csv and strip.png.")],
    split: Annotated[Literal["train", "val", "all"], typer.Option(help="Which clips are searched.")] = "val",
    top: Annotated[int, typer.Option(min=1, help="How many matches the picture shows.")] = 10,
    k: Annotated[
        int | None, typer.Option("--k", min=1, help="The K nearest frames of all clips, instead of one a clip.")
    ] = None,
    action: ActionOption = None,
    seen: InputOption = None,
    seed: SeedOption = None,
) -> None:
    started = time.monotonic()
    embedded = embedded_clips(dataset, action, seen, seed, [clip])
    moment = embedded.find(clip)
    among = range(len(embedded.clips)) if split == "all" else embedded.of_split(split)
    found = nearest_moments(embedded, moment, frame, among, k) if k else search(embedded, moment, frame, among)
    out.mkdir(parents=True, exist_ok=True)
    phase = phase_of(embedded, moment, frame)
    _write(out / "matches.csv", embedded, phase, found)
    figure = moment_strip(embedded, moment, frame, found[:top], picture_store(dataset))
    figure.savefig(out / "strip.png", dpi=110, metadata={"Software": None})
    facts = {"matches": len(found)}
    if phase >= 0:
        facts["of_the_same_phase"] = sum(phase_of(embedded, match.clip, match.frame) == phase for match in found)
    summary(started, clip=clip, frame=frame, **facts, input=embedded.input, seed=embedded.seed, out=out)


def _write(path: Path, embedded: EmbeddedAction, wanted: int, found: list[Match]) -> None:
    sequences = embedded.sequences
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for rank, match in enumerate(found, start=1):
            n = embedded.numbers[match.clip]
            video_frame = sequences.video_frames[sequences.frames(n)][match.frame]
            seconds = f"{match.frame / sequences.fps[n]:.3f}"
            phase = phase_of(embedded, match.clip, match.frame)
            same = "" if min(phase, wanted) < 0 else "yes" if phase == wanted else "no"
            place = (sequences.names[n], sequences.splits[n], match.frame, video_frame, seconds)
            likeness = (f"{match.distance:.5f}", f"{match.confidence:.3f}")
            writer.writerow([rank, *place, *likeness, "" if phase < 0 else phase + 1, same])


if __name__ == "__main__":
    app()
