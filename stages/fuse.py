"""Stage two: train the encoders of each input of several modalities jointly, behind a fusion layer."""

import time

import typer

from pipeline.inputs import fused, label
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.training import FusionConfig, TrainConfig
from pipeline.training_runs import fuse_dataset
from stages.base import (
    FRAMES,
    FUSED,
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


@app.command("fuse", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    entry = settings.dataset(dataset)
    preset = settings.section(f"presets.{entry.preset}", TrainConfig)
    config = settings.section(f"fusion.{entry.preset}", FusionConfig)
    inputs = fused(entry.inputs)
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset)
    with progress_bar("frames") as progress:
        done = fuse_dataset(paths, MODELS / dataset, FUSED / dataset, config, preset, inputs, progress)
    names = ",".join(label(modalities) for modalities in inputs) or "none"
    record("fuse", dataset, started)
    summary(started, dataset=dataset, inputs=names, **done, size=size_of(FUSED / dataset))


if __name__ == "__main__":
    app()
