"""What was run to get a report: stages with their times, contents of their outputs, versions."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from pipeline.machine import version_of
from pipeline.store import MANIFEST, content_hash
from pipeline.tables import Table

PACKAGES = (
    "torch",
    "numpy",
    "numba",
    "scikit-learn",
    "scipy",
    "zarr",
    "dask",
    "av",
    "opencv-python-headless",
    "altair",
)


def stage_times(outputs: Mapping[str, Path], dataset: str, timings: Path) -> Table:
    """How long each stage took and on what; one whose output comes from a cache says so.

    outputs: stage -> what it wrote. timings: <stage>_<dataset>.json of the stages that ran here.
    """
    rows, machines = [], []
    for name, output in outputs.items():
        file = timings / f"{name}_{dataset}.json"
        record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if output.is_dir() and record.get("output") == content_hash(output):
            machine = _machine(record)
            machines += [machine] if machine not in machines else []
            finished = record["finished"][:16].replace("T", " ") + " UTC"
            rows.append([name, f"{record['seconds']:g}", finished, str(machines.index(machine) + 1)])
        else:
            rows.append([name, "-", "not run here" if output.is_dir() else "output not here", "-"])
    told = "".join(f" Machine {number}: {machine}." for number, machine in enumerate(machines, start=1))
    note = f"A stage whose output came from a cache, or from a run elsewhere, was not run here.{told}"
    return Table("Time per stage", ["stage", "seconds", "finished", "machine"], rows, 1, note)


def contents(outputs: Mapping[str, Path]) -> Table:
    """The hash of what each stage wrote, its own inputs' hashes included, and how much that is."""
    rows = []
    for name, output in outputs.items():
        if (output / MANIFEST).is_file():
            files = json.loads((output / MANIFEST).read_text(encoding="utf-8"))["files"]
            size = sum(size for size, _ in files.values())
            rows.append([name, content_hash(output), str(len(files)), f"{size / 2**20:.2f}"])
    note = "Equal hashes are equal bytes, made from equal inputs; `dvc.lock` holds DVC's own of the same outputs."
    return Table("Contents of the outputs", ["written by", "hash", "files", "MiB"], rows, 1, note)


def installed() -> Table:
    """Versions of what the report ran with."""
    return Table("Versions of packages", ["package", "version"], [[name, of] for name, of in versions().items()])


def versions() -> dict[str, str]:
    """Of Python and of what computes; "-" for what is not installed."""
    return {"Python": platform.python_version()} | {name: version_of(name) or "-" for name in ("la2ds", *PACKAGES)}


def _machine(record: dict) -> str:
    memory = f", {record['ram_gib']:g} GiB" if record["ram_gib"] else ""
    gpu = record["gpu"] or "no GPU used"
    libraries = ", ".join(f"{name} {record[name]}" for name in ("python", "torch", "numpy") if record[name])
    return f"{record['cpu']}, {record['cores']} cores{memory}; {gpu}; {libraries}"
