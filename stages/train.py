"""Stage one: train an encoder of each modality alone, for each action and seed of a data set, without labels."""

import time

import typer

from pipeline.inputs import encoders
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.training import TrainConfig
from pipeline.training_runs import train_dataset
from stages.base import (
    FRAMES,
    HEATMAPS,
    MODELS,
    PARAMS,
    POSES,
    DatasetArgument,
    Params,
    ParamsOption,
    record,
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
    entry = settings.dataset(dataset)
    config = settings.section(f"presets.{entry.preset}", TrainConfig)
    modalities = encoders(entry.inputs)
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset)
    with progress_bar("frames") as progress:
        done = train_dataset(paths, MODELS / dataset, config, modalities, progress)
    record("train", dataset, started)
    summary(started, dataset=dataset, modalities="+".join(modalities), **done, size=size_of(MODELS / dataset))


if __name__ == "__main__":
    app()
