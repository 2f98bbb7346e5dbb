"""Train one alignment network for each action and seed of a data set, without labels."""

import time

import typer

from pipeline.progress import progress_bar
from pipeline.training import TrainConfig, train_dataset
from stages.base import (
    HEATMAPS,
    MODELS,
    PARAMS,
    POSES,
    DatasetArgument,
    Params,
    ParamsOption,
    size_of,
    stage,
    summary,
)

app = typer.Typer(add_completion=False)


@app.command("train", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    config = settings.section(f"presets.{settings.dataset(dataset).preset}", TrainConfig)
    with progress_bar("frames") as progress:
        done = train_dataset(POSES / dataset, HEATMAPS / dataset, MODELS / dataset, config, progress)
    summary(started, dataset=dataset, **done, size=size_of(MODELS / dataset))


if __name__ == "__main__":
    app()
