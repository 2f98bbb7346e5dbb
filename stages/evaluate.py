"""Embed the videos of a data set and score the method and its controls, plain and clock-broken."""

import time

import typer

from pipeline.evaluation import EvaluateConfig
from pipeline.progress import progress_bar
from pipeline.results import evaluate_dataset
from stages.base import (
    HEATMAPS,
    MODELS,
    PARAMS,
    POSES,
    RESULTS,
    DatasetArgument,
    Params,
    ParamsOption,
    stage,
    summary,
)

app = typer.Typer(add_completion=False)


@app.command("evaluate", help=__doc__)
@stage
def main(dataset: DatasetArgument, params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    config = Params(params).section("evaluate", EvaluateConfig)
    with progress_bar("actions") as progress:
        done = evaluate_dataset(
            POSES / dataset, HEATMAPS / dataset, MODELS / dataset, RESULTS / dataset, config, progress
        )
    summary(started, dataset=dataset, **done)


if __name__ == "__main__":
    app()
