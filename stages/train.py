"""Stage one: train each method's encoder of each modality alone, for each action and seed of a data set, without labels."""

import time

import typer

from pipeline.methods import encoders
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.training_runs import train_dataset
from stages.base import (
    EXTRACTED,
    FRAMES,
    HEATMAPS,
    MODELS,
    PARAMS,
    POSES,
    RUNS,
    DatasetArgument,
    Params,
    ParamsOption,
    record,
    size_of,
    stage,
    summary,
)
from stages.systems import systems_of

app = typer.Typer(add_completion=False)


@app.command("train", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    systems = systems_of(Params(params), dataset)
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset, EXTRACTED / dataset)
    with progress_bar("frames") as progress:
        done = train_dataset(paths, MODELS / dataset, RUNS, systems, progress)
    record("train", dataset, started)
    names = ",".join(each.name for each in encoders(systems))
    summary(started, dataset=dataset, encoders=names, **done, size=size_of(MODELS / dataset))


if __name__ == "__main__":
    app()
