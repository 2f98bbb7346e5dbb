"""What every stage shares: reading its section of params.yaml, where artifacts lie, errors in one line, a summary."""

import functools
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import yaml
from pydantic import Field, ValidationError

from pipeline.config import Config, InputError, MissingOutput, fault
from pipeline.inputs import OWN, Inputs, MethodName, needs_pictures
from pipeline.machine import machine
from pipeline.store import content_hash, write_json

# Deterministic matrix products on CUDA need this before CUDA starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

DETECTIONS, EXTRACTED, POSES, HEATMAPS, FRAMES, RUNS, MODELS, FUSED, RESULTS, TABLES, TABLE_PARTS, REPORTS, TIMINGS = (
    Path("data") / name
    for name in (
        "detections", "extracted", "poses", "heatmaps", "frames", "runs", "models", "fused", "results", "tables", "table_parts", "reports", "timings",
    )
)  # fmt: skip
# Networks that were trained once; several checkouts can share them.
RUNS = Path(os.environ.get("LA2DS_RUNS") or RUNS)
# The stages of a data set, and where each writes, <folder>/<data set>.
OUTPUTS = {
    "extract": EXTRACTED,
    "project": POSES,
    "render": HEATMAPS,
    "frames": FRAMES,
    "train": MODELS,
    "fuse": FUSED,
    "evaluate": RESULTS,
}
SECTIONS = {
    "films",
    "datasets",
    "project",
    "render",
    "frames",
    "presets",
    "fusion",
    "methods",
    "tables",
    "tabulate",
    "evaluate",
}

DatasetArgument = Annotated[str, typer.Argument(help="Name of the data set: its key below `datasets` in params.yaml.")]
ParamsOption = Annotated[Path, typer.Option(help="The parameter file.")]
PARAMS = Path("params.yaml")
Settings = TypeVar("Settings", bound=Config)


class DatasetEntry(Config):
    """One entry below `datasets`: where the poses come from, the training preset by name, what networks see.

    inputs: of LA2DS. methods: others that are trained beside it, each with its inputs.
    """

    source: dict
    preset: str
    inputs: Inputs
    methods: dict[MethodName, Inputs] = Field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, Inputs]:
        """Method -> inputs, LA2DS first."""
        return {OWN: self.inputs} | self.methods

    @property
    def needs_pictures(self) -> bool:
        return any(needs_pictures(inputs) for inputs in self.wanted.values())


class Params:
    """params.yaml, read section by section; every error names the file and the key."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise InputError(
                f"Expected a parameter file, but there is none at {path}. Run in the project's root."
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"Expected YAML, but got text that does not parse in {path}: {one_line(error)}") from None
        if not isinstance(self.content, dict) or (unknown := set(self.content) - SECTIONS):
            got = sorted(unknown) if isinstance(self.content, dict) else type(self.content).__name__
            raise InputError(f"Expected sections {sorted(SECTIONS)}, but got {got} in {path}. Correct the name.")

    def section(self, key: str, kind: type[Settings]) -> Settings:
        """The settings below a dotted key."""
        node = self.content
        for part in key.split("."):
            if not isinstance(node, dict) or part not in node:
                known = sorted(node) if isinstance(node, dict) else []
                raise InputError(
                    f"Expected key {key!r} in {self.path}, but {part!r} is not there (known: {known}). Add it."
                )
            node = node[part]
        try:
            return kind.model_validate(node or {})
        except ValidationError as error:
            place, why = fault(error, key)
            raise InputError(f"Expected a valid setting, but {place} is wrong in {self.path}: {why}") from None

    def dataset(self, name: str) -> DatasetEntry:
        return self.section(f"datasets.{name}", DatasetEntry)

    @property
    def datasets(self) -> list[str]:
        return list(self.content.get("datasets") or {})


def one_line(text) -> str:
    """Text without line breaks."""
    return " ".join(str(text).split())


def stage(command):
    """Make a function a stage command: log to stderr, and turn an InputError into one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", force=True)
        logging.getLogger("numba").setLevel(logging.WARNING)
        try:
            return command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"error: {one_line(error)}{_remedy(error)}", err=True)
            raise typer.Exit(1) from None

    return wrapped


def _remedy(error: InputError) -> str:
    """The command that writes what is missing."""
    path = error.path if isinstance(error, MissingOutput) else Path()
    writes = next((name for name, folder in OUTPUTS.items() if path.parent == folder), None)
    return f" It is `la2ds {writes} {path.name}`; `dvc repro` runs all that are missing." if writes else ""


def summary(started: float, **facts) -> None:
    """The one line a stage ends with."""
    facts["seconds"] = f"{time.monotonic() - started:.1f}"
    typer.echo("  ".join(f"{name}={value}" for name, value in facts.items()))


def record(name: str, dataset: str, started: float) -> None:
    """Leave beside the output of a stage how long it took and on what: no output of the graph, for the report alone.

    The record names the output's content, so that it does not speak for one that came from DVC's cache.
    """
    TIMINGS.mkdir(parents=True, exist_ok=True)
    facts = {
        "output": content_hash(OUTPUTS[name] / dataset),
        "seconds": round(time.monotonic() - started, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(TIMINGS / f"{name}_{dataset}.json", facts | machine())


def size_of(path: Path) -> str:
    """Bytes below a directory, in MiB."""
    return f"{sum(file.stat().st_size for file in path.rglob('*') if file.is_file()) / 2**20:.1f}MiB"
