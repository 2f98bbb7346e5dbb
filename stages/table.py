"""Train what a table needs and no network again, score it, and write the table: Markdown, CSV, JSON."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from pydantic import Field

from pipeline.config import Config, InputError
from pipeline.corruption import Corruption, write_corrupted
from pipeline.evaluation import EvaluateConfig
from pipeline.frame_store import UNUSED
from pipeline.heatmap import RenderConfig
from pipeline.inputs import Rows
from pipeline.method_tables import applicable, write_table
from pipeline.methods import fused
from pipeline.modalities.stores import Paths
from pipeline.pose_sources import OF_SOURCES, same_videos, write_sources
from pipeline.progress import progress_bar
from pipeline.projection import ProjectConfig
from pipeline.results import evaluate_dataset
from pipeline.sequence import read_sequences
from pipeline.training_runs import fuse_dataset, train_dataset, train_encoders
from stages.base import (
    EXTRACTED,
    FRAMES,
    HEATMAPS,
    PARAMS,
    POSES,
    RESULTS,
    RUNS,
    TABLE_PARTS,
    TABLES,
    DatasetEntry,
    Params,
    ParamsOption,
    stage,
    summary,
)
from stages.systems import systems_of
from stages.tabulated import check_tabulated

app = typer.Typer(add_completion=False)
log = logging.getLogger(__name__)


class TableEntry(Config):
    """An entry below `tables`. rows: method -> inputs. trained, shown: with what made worse networks are trained, and what is
    made worse of the videos they are shown then; by name, nothing by default."""

    rows: Rows = Field(min_length=1)
    trained: dict[str, Corruption] = Field(default_factory=lambda: {"": Corruption()})
    shown: dict[str, Corruption] = Field(default_factory=lambda: {"": Corruption()})

    @property
    def made_worse(self) -> list[Corruption]:
        return [how for how in (*self.trained.values(), *self.shown.values()) if not how.changes_nothing]


@app.command("table", help=__doc__)
@stage
def main(
    name: Annotated[str, typer.Argument(help="A key below `tables` in params.yaml, or pose_sources.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set.")],
    preset: Annotated[str | None, typer.Option(help="How to train; by default as the data set is.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Training seeds, e.g. 0,1,2; by default the preset's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; by default data/tables/DATASET-NAME.")] = None,
    params: ParamsOption = PARAMS,
) -> None:
    started = time.monotonic()
    settings = Params(params)
    entry, config = settings.dataset(dataset), settings.section("evaluate", EvaluateConfig)
    if out and out.parent == TABLES:
        check_tabulated(settings, out.name)
    if name == OF_SOURCES:
        return _of_sources(settings, dataset, out or TABLES / f"{dataset}-{name}", started)
    if name not in (known := settings.content.get("tables") or {}):
        raise InputError(
            f"Expected a table of {[*known, OF_SOURCES]}, but got {name!r}. Add it below `tables` in {settings.path}."
        )
    wanted = settings.section(f"tables.{name}", TableEntry)
    rows, notes = applicable(wanted.rows, _there(dataset, entry, wanted))
    if not rows:
        raise InputError(f"Expected a row that {dataset!r} can have, but got none for table {name!r}: {notes[0]}.")
    preset = preset or entry.preset
    systems = systems_of(settings, dataset, rows=rows, preset=preset, seeds=_numbers(seeds), stage_two=True)
    out = out or TABLES / f"{dataset}-{name}"
    work = TABLE_PARTS / out.name
    work.parent.mkdir(parents=True, exist_ok=True)
    stores, conditions = _Stores(settings, dataset, work), {}
    with progress_bar("frames and actions") as progress:
        if any(how.changes_nothing for how in wanted.trained.values()):
            train_encoders(stores.paths, RUNS, systems, progress)
        with _alone(work.with_suffix(".lock")):
            for trained, how in wanted.trained.items():
                paths, folder = stores.of(how), work / f"trained_{trained}"
                networks = folder / "models", folder / "fused"
                train_dataset(paths, networks[0], RUNS, systems, progress)
                fuse_dataset(paths, *networks, RUNS, fused(systems), progress)
                for shown, how_shown in wanted.shown.items():
                    results, other = folder / f"shown_{shown}", None if how_shown == how else stores.of(how_shown)
                    evaluate_dataset(paths, *networks, results, config, rows, progress, other)
                    details = json.loads((results / "details.json").read_text(encoding="utf-8"))
                    conditions["_".join(filter(None, (trained, shown)))] = details
            of_poses = wanted.model_dump(include={"trained", "shown"})
            run = {"preset": preset, "seeds": list(systems[0].config.seeds)} | of_poses
            notes += _told(wanted)
            done = write_table(name, conditions, entry.source.get("reader"), run, notes, out)
    typer.echo((out / f"{name}.md").read_text(encoding="utf-8"))
    summary(started, dataset=dataset, table=name, **done, out=out / f"{name}.md")


def _of_sources(settings: Params, dataset: str, out: Path, started: float) -> None:
    """The data set beside those that show the same videos with other poses, from the results that are there."""
    sequences = {name: read_sequences(POSES / name) for name in settings.datasets if (RESULTS / name).is_dir()}
    group = next((group for group in same_videos(sequences) if dataset in group), None)
    if group is None:
        raise InputError(
            f"Expected another data set with results on the same videos as {dataset!r}, but there is none. Add one, as"
            " README.md shows below `Data sets and files of other tools`, and run `dvc repro`."
        )
    files = {name: RESULTS / name / "details.json" for name in group}
    details = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}
    done = write_sources(group, sequences, details, RESULTS, out)
    typer.echo((out / f"{OF_SOURCES}.md").read_text(encoding="utf-8"))
    summary(started, dataset=dataset, table=OF_SOURCES, **done, out=out / f"{OF_SOURCES}.md")


def _told(wanted: TableEntry) -> list[str]:
    """What the names of the conditions stand for, and which inputs fill what is missing."""
    told = [
        f"poses {when} in {name}: {how}"
        for when, conditions in (("trained on", wanted.trained), ("shown", wanted.shown))
        for name, how in conditions.items()
        if name
    ]
    if any(how.missing for how in wanted.made_worse):
        told.append(
            "a missing joint draws nothing into the heatmaps of pose2d; pose3d and joints2d interpolate it in time,"
            " pose3d-zero and joints2d-zero put it at the origin"
        )
    return told


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a table: one process scores and writes it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process makes this table, waiting until it is done (%s)", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Stores:
    """The stores of a data set, as they are and made worse."""

    def __init__(self, settings: Params, dataset: str, folder: Path):
        self.paths = Paths(POSES / dataset, HEATMAPS / dataset, FRAMES / dataset, EXTRACTED / dataset)
        self.folder, self.made = folder, {}
        self.to_2d, self.render = settings.section("project", ProjectConfig), settings.section("render", RenderConfig)

    def of(self, how: Corruption) -> Paths:
        if how.changes_nothing:
            return self.paths
        if how not in self.made:
            folder = self.folder / f"poses_{how.missing:g}_{how.noise:g}_{how.seed}"
            self.made[how] = write_corrupted(self.paths, folder, how, self.to_2d, self.render)
        return self.made[how]


def _there(dataset: str, entry: DatasetEntry, wanted: TableEntry) -> set[str]:
    """The stores that networks of a data set can be made from; nothing is made worse of pictures.

    Pictures that its entry asks for count as there, so that opening them fails where they were never cut.
    """
    found, extracted = {"poses", "heatmaps"}, read_sequences(EXTRACTED / dataset)
    skeleton = extracted.skeleton
    if any(how.missing for how in wanted.made_worse) and not skeleton.chains:
        raise InputError(f"Expected a skeleton with limb chains, but {skeleton.name!r} has none. Add `chains` to it.")
    pictures = FRAMES / dataset
    cut = pictures.is_dir() and not (pictures / UNUSED).is_file()
    if not wanted.made_worse and (cut or entry.needs_pictures):
        found.add("frames")
    if extracted.joints.shape[-1] == 3 and skeleton.zaxis and skeleton.xaxis:
        found.add("extracted")
    return found


def _numbers(seeds: str | None) -> list[int] | None:
    try:
        found = None if seeds is None else [int(seed) for seed in seeds.split(",")]
        if found and (len(set(found)) < len(found) or min(found) < 0):
            raise ValueError
        return found
    except ValueError:
        raise InputError(
            f"Expected different seeds from 0 such as 0,1,2, but got {seeds!r}. Correct --seeds."
        ) from None


if __name__ == "__main__":
    app()
