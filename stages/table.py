"""Train what a table needs and no network again, score it, and write the table: Markdown, CSV, JSON."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.config import Config, InputError
from pipeline.evaluation import EvaluateConfig
from pipeline.frame_store import UNUSED
from pipeline.inputs import Inputs
from pipeline.method_tables import applicable, write_table
from pipeline.methods import fused
from pipeline.modalities.stores import Paths
from pipeline.progress import progress_bar
from pipeline.results import evaluate_dataset
from pipeline.sequence import read_sequences
from pipeline.training_runs import fuse_dataset, train_dataset
from stages.base import (
    EXTRACTED,
    FRAMES,
    HEATMAPS,
    PARAMS,
    POSES,
    RUNS,
    TABLES,
    Params,
    ParamsOption,
    stage,
    summary,
)
from stages.systems import systems_of

app = typer.Typer(add_completion=False)


class TableEntry(Config):
    """An entry below `tables`. rows: method -> inputs."""

    rows: dict[str, Inputs]


@app.command("table", help=__doc__)
@stage
def main(
    name: Annotated[str, typer.Argument(help="A key below `tables` in params.yaml.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set.")],
    preset: Annotated[str | None, typer.Option(help="How to train; by default as the data set is.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Training seeds, e.g. 0,1,2; by default the preset's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/tables/DATASET/NAME.")] = None,
    params: ParamsOption = PARAMS,
) -> None:
    started = time.monotonic()
    settings = Params(params)
    entry, config = settings.dataset(dataset), settings.section("evaluate", EvaluateConfig)
    rows, notes = applicable(settings.section(f"tables.{name}", TableEntry).rows, _there(dataset))
    systems = systems_of(settings, dataset, rows=rows, preset=preset, seeds=_numbers(seeds), stage_two=True)
    out = out or TABLES / dataset / name
    paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset, EXTRACTED / dataset)
    models, joint, results = (out / part for part in ("models", "fused", "results"))
    with progress_bar("frames") as progress:
        train_dataset(paths, models, RUNS, systems, progress)
        fuse_dataset(paths, models, joint, RUNS, fused(systems), progress)
    with progress_bar("actions") as progress:
        evaluate_dataset(paths, models, joint, results, config, rows, progress)
    details = json.loads((results / "details.json").read_text(encoding="utf-8"))
    done = write_table(name, details, entry.source.get("reader"), notes, out)
    typer.echo((out / f"{name}.md").read_text(encoding="utf-8"))
    summary(started, dataset=dataset, table=name, **done, out=out / f"{name}.md")


def _there(dataset: str) -> set[str]:
    """The stores that networks of a data set can be made from."""
    found = {"poses", "heatmaps"}
    found |= set() if (FRAMES / dataset / UNUSED).is_file() else {"frames"}
    return found | ({"extracted"} if read_sequences(EXTRACTED / dataset).joints.shape[-1] == 3 else set())


def _numbers(seeds: str | None) -> list[int] | None:
    try:
        return [int(seed) for seed in seeds.split(",")] if seeds else None
    except ValueError:
        raise InputError(f"Expected seeds such as 0,1,2, but got {seeds!r}. Correct --seeds.") from None


if __name__ == "__main__":
    app()
