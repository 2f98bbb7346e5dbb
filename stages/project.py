"""Project the 3D poses of a data set to 2D; 2D poses pass through."""

import time

import typer

from pipeline.projection import ProjectConfig, project
from pipeline.sequence import read_sequences, write_sequences
from stages.base import EXTRACTED, PARAMS, POSES, DatasetArgument, Params, ParamsOption, record, size_of, stage, summary

app = typer.Typer(add_completion=False)


@app.command("project", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    config = Params(params).section("project", ProjectConfig)
    sequences = project(read_sequences(EXTRACTED / dataset), config)
    write_sequences(sequences, POSES / dataset, {"extracted": EXTRACTED / dataset})
    record("project", dataset, started)
    summary(
        started,
        dataset=dataset,
        poses=sequences.poses,
        sequences=len(sequences),
        left_out=len(sequences.left_out),
        frames=sequences.num_frames,
        missing_joints=f"{(sequences.confidence == 0).mean():.1%}",
        size=size_of(POSES / dataset),
    )


if __name__ == "__main__":
    app()
