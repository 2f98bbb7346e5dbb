"""3D joints of any source: text files of one sequence each, or npz files of many; axes, split and events by settings.

Shapes: T frames of a sequence, F frames of a file, N sequences, K joints.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.axes import AxesConfig
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton


class Joints3DConfig(AxesConfig, CollectionConfig):
    """What is in the files, beside `AxesConfig` and `CollectionConfig`.

    npz: keys positions (F, K, 3), offsets (N + 1) and names (N); group_key: the key of N groups; fps: here or by key.
    text: `joint_rows` has K rows per frame, x y z or x y z confidence; `frame_rows` one row per frame with
    values_per_joint numbers for each joint, of which x y z come first. delimiter: None for white space.

    inferred_confidence: what a joint gets that has coordinates and confidence 0 in a text file. Kinect's trackers mark
    joints so that they infer from others (the trunk, as a rule); a joint at 0 0 0 stays missing.
    """

    reader: Literal["joints3d"] = "joints3d"
    skeleton: str
    format: Literal["npz", "text"]
    group_key: str | None = None
    layout: Literal["joint_rows", "frame_rows"] = "joint_rows"
    values_per_joint: int = Field(3, ge=3)
    delimiter: str | None = Field(None, min_length=1)
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    inferred_confidence: float = Field(0, ge=0, le=1)

    @model_validator(mode="after")
    def _has_rate(self) -> "Joints3DConfig":
        if self.format == "text" and self.fps is None:
            raise ValueError("text files need fps")
        return self


def read(config: Joints3DConfig, dataset: str) -> PoseSequences:
    """Read all sequences: joints in the data set's units, re-axed to x right, y up, z towards the viewer.

    A joint is missing where its confidence is 0 or, in files without confidences, where a coordinate is NaN. A file
    that does not hold what the settings say is left out. Raises InputError as `collect` does.
    """
    skeleton = own_skeleton(config.root, config.skeleton)
    read_file = _read_npz if config.format == "npz" else _read_text

    def load(entry: Entry) -> Iterator[Clip]:
        for name, group, fps, positions, confidence in read_file(entry.path, config, skeleton):
            yield entry.clip(config.turn(positions), confidence, fps, name=name, group=group)

    clips, left_out = load_each(entries(config), load, skeleton)
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses="motion_capture")


File = Iterator[tuple[str, str, float, np.ndarray, np.ndarray]]  # name, group, fps, (T, K, 3), (T, K)


def _read_npz(path: Path, config: Joints3DConfig, skeleton: Skeleton) -> File:
    again = "Write the file again without pickled objects."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, EOFError, TypeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        detail = " ".join(str(error).split())
        raise InputError(f"Expected an npz file of plain arrays, but got {detail!r} in {path}. {again}") from None
    keys = ["positions", "offsets", "names", *([config.group_key] if config.group_key else [])]
    if config.fps is None:
        keys.append("fps")
    if missing := [key for key in keys if key not in content]:
        hint = " to the file, or set 'fps'" if missing[0] == "fps" else ""
        raise InputError(f"Expected keys {keys}, but {missing[0]!r} is missing in {path}. Add it{hint}.")
    positions, offsets, names = (content[key] for key in ("positions", "offsets", "names"))
    if names.ndim != 1:
        raise InputError(f"Expected (N,) names, but got {names.shape} in {path}. Correct them.")
    if positions.ndim != 3 or positions.shape[1:] != (skeleton.num_joints, 3) or positions.dtype.kind not in "fiu":
        expected = f"positions (F, {skeleton.num_joints}, 3) for skeleton {skeleton.name!r}"
        raise InputError(
            f"Expected {expected}, but got {positions.shape} of {positions.dtype} in {path}. Name another skeleton."
        )
    if (
        offsets.shape != (len(names) + 1,)
        or offsets.dtype.kind not in "iu"
        or offsets[0] != 0
        or offsets[-1] != len(positions)
        or (np.diff(offsets) < 0).any()
    ):
        raise InputError(
            f"Expected {len(names) + 1} offsets that rise from 0 to {len(positions)}, but got {offsets.shape} from"
            f" {offsets[:1]} to {offsets[-1:]} in {path}. Correct them."
        )
    groups = content[config.group_key] if config.group_key else np.full(len(names), "")
    if groups.shape != names.shape:
        raise InputError(f"Expected {names.shape} {config.group_key}, but got {groups.shape} in {path}. Correct it.")
    if (
        rate := np.asarray(content["fps"] if config.fps is None else config.fps)
    ).size != 1 or rate.dtype.kind not in "fiu":
        raise InputError(f"Expected one frame rate, but got fps {rate.shape} of {rate.dtype} in {path}. Set 'fps'.")
    for name, group, start, stop in zip(names, groups, offsets[:-1], offsets[1:], strict=True):
        joints = positions[start:stop]
        yield str(name), str(group), float(rate.item()), joints, ~np.isnan(joints).any(axis=2)


def _read_text(path: Path, config: Joints3DConfig, skeleton: Skeleton) -> File:
    num_joints = skeleton.num_joints
    joint_rows = config.layout == "joint_rows"
    widths = (3, 4) if joint_rows else (num_joints * config.values_per_joint,)
    try:
        # Some writers end every row with a delimiter.
        lines = [line.strip().rstrip(config.delimiter) for line in path.read_text(encoding="utf-8").splitlines()]
        table = np.loadtxt(lines, delimiter=config.delimiter, ndmin=2) if any(lines) else np.empty((0, widths[0]))
    except ValueError as error:
        raise InputError(f"Expected rows of numbers, but got {error} in {path}. Correct the file.") from None
    if table.shape[1] not in widths or (joint_rows and len(table) % num_joints):
        rows = f"a multiple of {num_joints} rows" if joint_rows else "rows"
        raise InputError(
            f"Expected {rows} of {' or '.join(map(str, widths))} numbers, but got {table.shape} in {path}."
            " Correct 'layout', 'values_per_joint' or 'skeleton'."
        )
    table = table.reshape(-1, num_joints, table.shape[1] if joint_rows else config.values_per_joint)
    positions = table[..., :3]
    confidence = (~np.isnan(positions).any(axis=2)).astype(np.float64)
    if joint_rows and table.shape[2] == 4:
        inferred = (table[..., 3] == 0) & (confidence > 0) & (positions != 0).any(axis=2)
        confidence = np.where(inferred, config.inferred_confidence, table[..., 3])
    yield "", "", config.fps, positions, confidence
