"""C3D, the format of marker-based motion capture (c3d.org), read with ezc3d (Michaud & Begon, JOSS 2021)."""

from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.config import InputError, MissingPackage
from pipeline.datasets.axes import Axis, Markers, MarkersConfig, Unit, metres, read_markers
from pipeline.sequence import PoseSequences


class C3dConfig(MarkersConfig):
    """Which markers are joints (`MarkersConfig`). up: most laboratories point z up. units: instead of the files' own."""

    reader: Literal["c3d"] = "c3d"
    pattern: str = r".*\.c3d"
    up: Axis = "z"
    units: Unit | None = None


def read(config: C3dConfig, dataset: str) -> PoseSequences:
    """Read all files: joints in metres, x right, y up, z towards the viewer.

    A marker is missing where its residual is negative or a coordinate is NaN. Raises InputError where ezc3d is not
    installed, and as `read_markers` does.
    """
    try:
        import ezc3d
    except ImportError:
        raise MissingPackage(
            f"Expected the package ezc3d, but it is not installed, to read {dataset!r}. Run `pip install -e '.[c3d]'`."
        ) from None

    def read_file(path: Path) -> Markers:
        try:
            content = ezc3d.c3d(str(path))
        except Exception as error:  # ezc3d raises whatever the damaged bytes lead it to
            detail = " ".join(str(error).split())
            raise InputError(f"Expected a C3D file, but got {detail!r} in {path}. Export it again.") from None
        positions = content["data"]["points"][:3].transpose(2, 1, 0)
        residuals = content["data"]["meta_points"]["residuals"][0].T
        point = content["parameters"]["POINT"]
        # A parameter holds at most 255 names; further ones are in LABELS2, LABELS3, ...
        more = sorted((key for key in point if key[:6] == "LABELS" and key[6:].isdigit()), key=lambda key: int(key[6:]))
        names = [name.strip() for key in ("LABELS", *more) for name in point[key]["value"]]
        if len(names) < positions.shape[1]:
            raise InputError(
                f"Expected a name for each of {positions.shape[1]} points, but got {len(names)} in {path}. Export it again."
            )
        unit = (point["UNITS"]["value"] or [""])[0] if "UNITS" in point else ""
        positions = positions * metres(unit, config.units, path)
        positions[residuals < 0] = np.nan
        return names[: positions.shape[1]], positions, float(content["header"]["points"]["frame_rate"])

    return read_markers(config, dataset, read_file)
