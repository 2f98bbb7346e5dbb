"""Gather the results of all data sets: the long table, metric JSON and plot data for DVC, report.md and report.html."""

import json
import time

import typer
import yaml

from pipeline.html_report import Run, write_page
from pipeline.report import load_reported, write_report
from stages.base import (
    FUSED,
    MODELS,
    OUTPUTS,
    PARAMS,
    POSES,
    REPORTS,
    RESULTS,
    TIMINGS,
    Params,
    ParamsOption,
    stage,
    summary,
)

app = typer.Typer(add_completion=False)


@app.command("report", help=__doc__)
@stage
def main(params: ParamsOption = PARAMS) -> None:
    started = time.monotonic()
    settings = Params(params)
    readers = {name: settings.dataset(name).source.get("reader") for name in settings.datasets}
    reported = load_reported(readers, POSES, RESULTS, MODELS, FUSED)
    done = write_report(reported, REPORTS)
    stride = (settings.content.get("evaluate") or {}).get("tau_stride", Run.tau_stride)
    runs = {
        name: Run({k: path / name for k, path in OUTPUTS.items()}, params_of(settings, name), stride)
        for name in readers
    }
    done |= write_page(reported, runs, TIMINGS, REPORTS / "report.html")
    summary(started, **done, report=REPORTS / "report.md")


def params_of(settings: Params, name: str) -> str:
    """The part of params.yaml that a data set is made with, as YAML."""
    content, preset = settings.content, settings.dataset(name).preset
    used = {"datasets": {name: content["datasets"][name]}}
    used |= {key: {preset: content.get(key, {}).get(preset)} for key in ("presets", "fusion")}
    used |= {key: content.get(key) for key in ("project", "render", "frames", "evaluate")}
    return yaml.safe_dump(json.loads(json.dumps(used)), sort_keys=False)  # through JSON: no anchors


if __name__ == "__main__":
    app()
