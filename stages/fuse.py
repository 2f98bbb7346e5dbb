"""Stage two: train the encoders of each input of several modalities jointly, behind a fusion layer."""

import time

import typer

from pipeline.methods import fused
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.training_runs import fuse_dataset
from stages.base import (
    EXTRACTED,
    FRAMES,
    FUSED,
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


@app.command("fuse", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    systems = fused(systems_of(Params(params), dataset, stage_two=True))
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset, EXTRACTED / dataset)
    with progress_bar("frames") as progress:
        done = fuse_dataset(paths, MODELS / dataset, FUSED / dataset, RUNS, systems, progress)
    names = ",".join(each.name for each in systems) or "none"
    record("fuse", dataset, started)
    summary(started, dataset=dataset, systems=names, **done, size=size_of(FUSED / dataset))


if __name__ == "__main__":
    app()
