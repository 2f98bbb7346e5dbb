"""TRC, OpenSim's text format of marker trajectories (also written by Motion Analysis and by Pose2Sim)."""

from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.config import InputError
from pipeline.datasets.axes import Markers, MarkersConfig, Unit, metres, read_markers
from pipeline.sequence import PoseSequences

HEADER = ("DataRate", "NumFrames", "NumMarkers", "Units")
AGAIN = "Export the file again."


class TrcConfig(MarkersConfig):
    """Which markers are joints (`MarkersConfig`). units: instead of the files' own."""

    reader: Literal["trc"] = "trc"
    pattern: str = r".*\.trc"
    units: Unit | None = None


def read(config: TrcConfig, dataset: str) -> PoseSequences:
    """Read all files: joints in metres, x right, y up, z towards the viewer; an empty cell or NaN is a missing marker.

    Raises InputError as `read_markers` does.
    """

    def read_file(path: Path) -> Markers:
        names, positions, fps, unit = _read(path)
        return names, positions * metres(unit, config.units, path), fps

    return read_markers(config, dataset, read_file)


def _read(path: Path) -> tuple[list[str], np.ndarray, float, str]:
    """Marker names, (T, M, 3) positions, fps and unit."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Expected a TRC file, but got {error} in {path}. {AGAIN}") from None
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise InputError(f"Expected 'PathFileType' and five lines or more, but got others in {path}, line 1. {AGAIN}")
    header = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    try:
        fps, num_frames, num_markers = (kind(header[key]) for kind, key in zip((float, int, int), HEADER, strict=False))
        unit = header["Units"]
    except (KeyError, ValueError):
        raise InputError(f"Expected {list(HEADER)}, but got {header} in {path}, line 3. {AGAIN}") from None
    # A marker's name stands over the first of its three columns.
    names = [name.strip() for name in lines[3].split("\t")[2::3]][:num_markers]
    if len(names) != num_markers or not all(names):
        raise InputError(f"Expected {num_markers} markers, but got {names} in {path}, line 4. {AGAIN}")
    width = 2 + 3 * num_markers
    rows = [_row(line, width, f"{path}, line {i}") for i, line in enumerate(lines[5:], start=6) if line.strip()]
    if len(rows) != num_frames:
        raise InputError(f"Expected {num_frames} frames, but got {len(rows)} in {path}. {AGAIN}")
    return names, np.array(rows).reshape(num_frames, width)[:, 2:].reshape(num_frames, num_markers, 3), fps, unit


def _row(line: str, width: int, where: str) -> list[float]:
    cells = line.split("\t")
    if len(cells) < width or any(cell.strip() for cell in cells[width:]):
        raise InputError(f"Expected {width} cells between tabs, but got {len(cells)} in {where}. {AGAIN}")
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells[:width]]
    except ValueError as error:
        raise InputError(f"Expected numbers, but got {error} in {where}. {AGAIN}") from None
