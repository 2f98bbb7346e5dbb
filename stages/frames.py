"""Crop the pictures of a data set around the person into a sharded Zarr store, where one of its inputs needs them."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.datasets.studio import StudioConfig
from pipeline.datasets.studio_pictures import studio_pictures
from pipeline.frame_store import write_frames, write_unused
from pipeline.frames import FramesConfig, Pictures, frame_boxes, video_pictures
from pipeline.heatmap import RenderConfig
from pipeline.sequence import PoseSequences, read_sequences
from stages.base import FRAMES, PARAMS, POSES, DatasetArgument, Params, ParamsOption, record, stage, summary

app = typer.Typer(add_completion=False)


class Scheduler(StrEnum):
    """Where dask decodes or draws shards."""

    processes = "processes"
    threads = "threads"
    synchronous = "synchronous"


@app.command("frames", help=__doc__)
@stage
def main(
    dataset: DatasetArgument,
    params: ParamsOption = PARAMS,
    scheduler: Annotated[Scheduler, typer.Option(help="Where dask makes the shards.")] = Scheduler.processes,
    workers: Annotated[int | None, typer.Option(help="How many shards at once; one per core by default.")] = None,
) -> None:
    started = time.monotonic()
    settings = Params(params)
    entry = settings.dataset(dataset)
    if not entry.needs_pictures:
        write_unused(FRAMES / dataset, POSES / dataset)
        record("frames", dataset, started)
        return summary(started, dataset=dataset, frames="not needed by its inputs")
    config, render = settings.section("frames", FramesConfig), settings.section("render", RenderConfig)
    sequences = read_sequences(POSES / dataset)
    boxes = frame_boxes(sequences, render.padding, render.keep_aspect, config)
    pictures = pictures_of(entry.source, sequences)
    done = write_frames(sequences, POSES / dataset, FRAMES / dataset, pictures, boxes, config, scheduler.value, workers)
    record("frames", dataset, started)
    summary(
        started,
        dataset=dataset,
        frames=done.num_frames,
        shards_resumed=done.shards_resumed,
        size=f"{done.num_bytes / 2**20:.1f}MiB",
        rate=f"{done.num_frames / done.seconds:.0f}frames/s",
    )


def pictures_of(source: dict, sequences: PoseSequences) -> Pictures:
    """Synthetic people are drawn; everybody else was filmed."""
    if source.get("reader") == "studio":
        return studio_pictures(StudioConfig.model_validate(source), sequences)
    return video_pictures(sequences)


if __name__ == "__main__":
    app()
