"""Say where a clip, or each validation clip, departs from normal ones: per frame, in pose, tempo and by joint.

A frame's score of 1 is what 1 % of the normal frames reach; a clip is unusual where its highest score is beyond that of
every (other) normal clip.
"""

import csv
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from commands.base import console, print_table
from commands.embedded import ActionOption, InputOption, SeedOption, embedded_clips
from pipeline.config import InputError
from pipeline.deviation_picture import describe, deviation_picture, moments
from pipeline.deviations import Deviation, Motion, Normals, body_coordinates, stretches
from pipeline.embedded import EmbeddedAction
from pipeline.progress import progress_bar
from pipeline.store import write_json
from stages.base import DatasetArgument, stage, summary

app = typer.Typer(add_completion=False)
WORST_JOINTS = 3


@app.command("deviations", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Option(help="Folder for a CSV, a JSON and a picture of each clip, and ranking.csv.")],
    clip: Annotated[str | None, typer.Argument(help="Name of the sequence; by default all of validation.")] = None,
    normal: Annotated[str, typer.Option(help="What is normal: `train`, or NAME,NAME,...")] = "train",
    action: ActionOption = None,
    seen: InputOption = None,
    seed: SeedOption = None,
) -> None:
    started = time.monotonic()
    named = [clip] if clip else normal.split(",")
    embedded = embedded_clips(dataset, action, seen, seed, named)
    usual = embedded.of_split("train") if normal == "train" else [embedded.find(name) for name in normal.split(",")]
    chosen = embedded.of_split("val") if clip is None else [embedded.find(clip)]
    if not chosen or len(set(usual)) < len(usual):
        raise InputError(f"Expected clips, each named once, but got {normal!r} as normal ones. Name others.")
    normals = Normals([motion(embedded, i) for i in usual])
    out.mkdir(parents=True, exist_ok=True)
    ranking = []
    with progress_bar("clips") as bar:
        for i in bar.track(chosen, description="deviations"):
            itself = usual.index(i) if i in usual else None
            found = normals.deviation(motion(embedded, i), itself)
            ranking.append(_write(out, embedded, i, usual[found.normal], found, normals.limit(itself)))
    ranking.sort(key=lambda row: -row["highest"])
    with (out / "ranking.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(ranking[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(ranking)
    print_table(console(), "Most unusual first", list(ranking[0]), [row.values() for row in ranking])
    facts = {"clips": len(chosen), "normal": len(usual), "input": embedded.input, "seed": embedded.seed}
    summary(started, **facts, unusual=sum(row["unusual"] == "yes" for row in ranking), out=out)


def motion(embedded: EmbeddedAction, i: int) -> Motion:
    """Clip i as deviations see it."""
    sequences, n = embedded.sequences, embedded.numbers[i]
    rows = sequences.frames(n)
    try:
        pose = body_coordinates(sequences.joints[rows], sequences.confidence[rows])
    except InputError as error:
        raise InputError(f"{sequences.names[n]}: {error}") from None
    return Motion(embedded.features(i), pose, float(sequences.fps[n]))


def _write(out: Path, embedded: EmbeddedAction, i: int, normal: int, found: Deviation, limit: float) -> dict:
    """The files of a clip; returns its row of the ranking. limit: the highest score of a clip that is not unusual."""
    sequences, n = embedded.sequences, embedded.numbers[i]
    names, fps = sequences.skeleton.joints, float(sequences.fps[n])
    file = out / sequences.names[n].replace("/", "_")
    worst = np.argsort(-found.joints, axis=1, kind="stable")[:, :WORST_JOINTS]
    with file.with_name(file.name + ".csv").open("w", encoding="utf-8", newline="") as csv_file:
        writer = csv.writer(csv_file, lineterminator="\n")
        writer.writerow(["frame", "seconds", "score", "kind", "pose", "tempo", "slower", "worst_joints", *names])
        for t, score in enumerate(found.score):
            parts = [f"{value:.3f}" for value in (found.pose[t], found.tempo[t])]
            joints = " ".join(names[k] for k in worst[t] if found.joints[t, k] > 1)
            each = [f"{value:.3f}" for value in found.joints[t]]
            slower = "yes" if found.slower[t] else "no"
            writer.writerow([t, f"{t / fps:.3f}", f"{score:.3f}", found.kind[t], *parts, slower, joints, *each])
    runs = stretches(found, fps)
    marked = [
        {
            "first_frame": start, "last_frame": stop - 1, "highest": round(float(found.score[start:stop].max()), 3),
            "what": describe(found, start + int(found.score[start:stop].argmax()), names),
        }
        for start, stop in runs
    ]  # fmt: skip
    most_like = sequences.names[embedded.numbers[normal]]
    write_json(
        file.with_name(file.name + ".json"),
        {"sequence": sequences.names[n], "most_like": most_like, "stretches": marked},
    )
    figure = deviation_picture(sequences, n, embedded.numbers[normal], found)
    figure.savefig(file.with_name(file.name + ".png"), dpi=110, metadata={"Software": None})
    peak = moments(found, fps)[0]
    beyond = sum(stop - start for start, stop in runs) / fps
    highest = float(found.score.max())
    what = describe(found, peak, names)
    return {
        "sequence": sequences.names[n],
        "unusual": "yes" if highest > limit else "no",
        "highest": round(highest, 2),
        "frame": peak,
        "what": what,
        "seconds": round(beyond, 2),
    }


if __name__ == "__main__":
    app()
