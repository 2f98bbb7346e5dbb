"""Gather the results of all data sets: the long table, metric JSON and plot data for DVC, and report.md."""

import time

import typer

from pipeline.report import write_report
from stages.base import FUSED, MODELS, PARAMS, POSES, REPORTS, RESULTS, Params, ParamsOption, stage, summary

app = typer.Typer(add_completion=False)


@app.command("report", help=__doc__)
@stage
def main(params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    readers = {name: settings.dataset(name).source.get("reader") for name in settings.datasets}
    done = write_report(readers, POSES, RESULTS, MODELS, FUSED, REPORTS)
    summary(started, **done, report=REPORTS / "report.md")


if __name__ == "__main__":
    app()
