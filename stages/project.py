"""Read a data set's poses, project 3D ones to 2D, and write its pose store."""

import time

import typer
from pipeline.datasets.registry import parse_source, read_source
from pipeline.projection import ProjectConfig, project

from pipeline.sequence import write_sequences
from stages.base import PARAMS, POSES, DatasetArgument, Params, ParamsOption, size_of, stage, summary

app = typer.Typer(add_completion=False)


@app.command("project", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    source = parse_source(settings.dataset(dataset).source, f"datasets.{dataset}.source of {params}")
    config = settings.section("project", ProjectConfig)
    sequences = project(read_source(source, dataset), config)
    write_sequences(sequences, POSES / dataset)
    summary(
        started,
        dataset=dataset,
        poses=sequences.poses,
        labels=sequences.labels,
        sequences=len(sequences),
        left_out=len(sequences.left_out),
        frames=sequences.num_frames,
        missing_joints=f"{(sequences.confidence == 0).mean():.1%}",
        size=size_of(POSES / dataset),
    )


if __name__ == "__main__":
    app()
