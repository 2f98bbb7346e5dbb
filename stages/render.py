"""Render the cropped joint and limb heatmaps of a data set into a sharded Zarr store."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.sequence import read_sequences
from stages.base import HEATMAPS, PARAMS, POSES, DatasetArgument, Params, ParamsOption, record, stage, summary

app = typer.Typer(add_completion=False)


class Scheduler(StrEnum):
    """Where dask renders shards."""

    threads = "threads"
    processes = "processes"
    synchronous = "synchronous"


@app.command("render", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    params: ParamsOption = PARAMS,
    scheduler: Annotated[Scheduler, typer.Option(help="Where dask renders the shards.")] = Scheduler.threads,
    workers: Annotated[int | None, typer.Option(help="How many shards at once; one per core by default.")] = None,
) -> None:
    started = time.monotonic()
    config = Params(params).section("render", RenderConfig)
    sequences = read_sequences(POSES / dataset)
    done = write_heatmaps(sequences, POSES / dataset, HEATMAPS / dataset, config, scheduler.value, workers)
    record("render", dataset, started)
    summary(
        started,
        dataset=dataset,
        frames=done.num_frames,
        channels=done.num_channels,
        shards_resumed=done.shards_resumed,
        size=f"{done.num_bytes / 2**20:.1f}MiB",
        rate=f"{done.num_frames / done.seconds:.0f}frames/s",
    )


if __name__ == "__main__":
    app()
