"""Embed the videos of a data set and score every system and the controls, plain and clock-broken."""

import time

import typer

from pipeline.evaluation import EvaluateConfig
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.results import evaluate_dataset
from stages.base import (
    EXTRACTED,
    FRAMES,
    FUSED,
    HEATMAPS,
    MODELS,
    PARAMS,
    POSES,
    RESULTS,
    DatasetArgument,
    Params,
    ParamsOption,
    record,
    stage,
    summary,
)

app = typer.Typer(add_completion=False)


@app.command("evaluate", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    config, wanted = settings.section("evaluate", EvaluateConfig), settings.dataset(dataset).wanted
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset, EXTRACTED / dataset)
    with progress_bar("actions") as progress:
        done = evaluate_dataset(paths, MODELS / dataset, FUSED / dataset, RESULTS / dataset, config, wanted, progress)
    record("evaluate", dataset, started)
    summary(started, dataset=dataset, **done)


if __name__ == "__main__":
    app()
