"""Get the poses of a data set: from raw videos by an estimator, or from files by a reader."""

import time
from typing import Annotated

import typer

from pipeline.datasets.registry import parse_source, read_source
from pipeline.extraction import Run
from pipeline.sequence import write_sequences
from stages.base import (
    DETECTIONS,
    EXTRACTED,
    PARAMS,
    DatasetArgument,
    Params,
    ParamsOption,
    record,
    size_of,
    stage,
    summary,
)

app = typer.Typer(add_completion=False)

Scheduler = Annotated[
    str,
    typer.Option(help="Where videos are estimated: processes, threads, synchronous, or tcp://... of dask.distributed."),
]


@app.command("extract", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    params: ParamsOption = PARAMS,
    scheduler: Scheduler = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many videos at once; one per core by default.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop where a sequence would be left out.")] = False,
) -> None:
    started = time.monotonic()
    source = parse_source(Params(params).dataset(dataset).source, f"datasets.{dataset}.source of {params}")
    sequences = read_source(source, dataset, Run(DETECTIONS, scheduler, workers, strict))
    write_sequences(sequences, EXTRACTED / dataset)
    record("extract", dataset, started)
    summary(
        started,
        dataset=dataset,
        poses=sequences.poses,
        labels=sequences.labels,
        sequences=len(sequences),
        left_out=len(sequences.left_out),
        frames=sequences.num_frames,
        missing_joints=f"{(sequences.confidence == 0).mean():.1%}",
        size=size_of(EXTRACTED / dataset),
    )


if __name__ == "__main__":
    app()
