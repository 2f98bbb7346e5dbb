"""The long table of results: the contract that every report reads.

Accuracy, AP and event error are in percent, progression is R^2, tau is in [-1, 1]; low and high bound the 95 %
bootstrap interval over validation videos. Controls that are not trained carry seed 0.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from pipeline.config import InputError
from pipeline.inputs import CONTROLS, UNTRAINED

COLUMNS = ("dataset", "action", "method", "input", "poses", "metric", "variant", "seed", "value", "low", "high")
VARIANTS = ("plain", "clock_broken")
ALL_ACTIONS = "mean"  # the action of rows that are means over a data set's actions


def system(method: str, modalities: str) -> str:
    """One name for a method with its input: `la2ds` sees pose2d, `la2ds_rgb` and `la2ds_pose2d+rgb` what they say."""
    return method if method in CONTROLS or modalities == "pose2d" else f"{method}_{modalities}"


def method_and_input(name: str) -> tuple[str, str]:
    """Back from `system`."""
    if name in CONTROLS:
        return name, CONTROLS[name]
    method, _, modalities = name.partition("_")
    return method, modalities or "pose2d"


def is_trained(name: str) -> bool:
    """Whether a system is no control."""
    return method_and_input(name)[0].split(" ")[0] not in {UNTRAINED, *CONTROLS}


def write_rows(rows: Iterable[dict], path: Path) -> None:
    """The long table as CSV, floats rounded to 6 digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in rows:
            table.writerow({key: f"{value:.6f}" if isinstance(value, float) else value for key, value in row.items()})


def read_rows(path: Path) -> list[dict]:
    """The long table back, values as floats. Raises InputError if it is not there or its columns are others."""
    if not path.is_file():
        raise InputError(f"Expected results, but there are none at {path}. Run evaluate first.")
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise InputError(f"Expected columns {COLUMNS}, but got {table.fieldnames} in {path}. Run evaluate again.")
        return [{**row, **{key: float(row[key]) for key in ("value", "low", "high")}} for row in table]
