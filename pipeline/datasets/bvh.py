"""BVH (Biovision hierarchy): a skeleton of joints with offsets, and the angles of each frame.

Shapes: T frames, J joints of the file, C channels.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.config import InputError
from pipeline.datasets.axes import Markers, MarkersConfig, read_markers
from pipeline.sequence import PoseSequences

CHANNELS = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
AGAIN = "Export the file again."


class BvhConfig(MarkersConfig):
    """Which joints of the files are joints of the skeleton (`MarkersConfig`)."""

    reader: Literal["bvh"] = "bvh"
    pattern: str = r".*\.bvh"


def read(config: BvhConfig, dataset: str) -> PoseSequences:
    """Read all files: joints in the files' units, x right, y up, z towards the viewer. InputError as `read_markers`."""
    return read_markers(config, dataset, read_bvh)


@dataclass
class _Joint:
    """parent: its index, -1 for a root. offset: from the parent, in the parent's axes. channels: in the file's order."""

    name: str
    parent: int
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


def read_bvh(path: Path) -> Markers:
    """J joint names, (T, J, 3) their positions by forward kinematics, and fps. End sites are not joints.

    Raises InputError, with the line, for what is not BVH.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Expected a BVH file, but got {error} in {path}. {AGAIN}") from None
    motion = next((i for i, line in enumerate(lines) if line.strip() == "MOTION"), len(lines))
    joints = _hierarchy(lines[:motion], path)
    values, fps = _motion(lines, motion, sum(len(joint.channels) for joint in joints), path)
    return [joint.name for joint in joints], _positions(joints, values), fps


def _hierarchy(lines: list[str], path: Path) -> list[_Joint]:
    """The joints, parents first."""
    joints: list[_Joint] = []
    open_blocks: list[int] = []  # indices of the joints around this line; an end site's is -1
    begun: int | None = None  # the joint, or end site, whose block is the next to open
    for number, line in enumerate(lines, start=1):
        for part in filter(None, map(str.strip, re.split(r"([{}])", line))):
            inside = open_blocks[-1] if open_blocks and begun is None else None
            match part.split():
                case ["HIERARCHY"]:
                    pass
                case ["ROOT", *name] if name and not open_blocks and begun is None:
                    begun = len(joints)
                    joints.append(_Joint(" ".join(name), -1))
                case ["JOINT", *name] if name and inside is not None and inside >= 0:
                    begun = len(joints)
                    joints.append(_Joint(" ".join(name), inside))
                case ["End", "Site"] if inside is not None and inside >= 0:
                    begun = -1
                case ["{"] if begun is not None:
                    open_blocks.append(begun)
                    begun = None
                case ["}"] if inside is not None:
                    open_blocks.pop()
                case ["OFFSET", *cells] if inside is not None and len(cells) == 3:
                    offset = _numbers(cells, 3, f"{path}, line {number}")
                    if inside >= 0:
                        joints[inside].offset = tuple(offset)
                case ["CHANNELS", count, *names] if inside is not None and inside >= 0 and count == str(len(names)):
                    if not set(names) <= CHANNELS or len(set(names)) < len(names):
                        raise InputError(
                            f"Expected channels of {sorted(CHANNELS)}, each once, but got {names} in {path}, line {number}. {AGAIN}"
                        )
                    joints[inside].channels = names
                case _:
                    raise InputError(
                        f"Expected a joint, its OFFSET and CHANNELS, or braces, but got {part!r} in {path}, line {number}."
                        f" {AGAIN}"
                    )
    if not joints or open_blocks or begun is not None:
        raise InputError(
            f"Expected MOTION after a closed hierarchy, but got its end in {path}, line {len(lines)}. {AGAIN}"
        )
    return joints


def _motion(lines: list[str], start: int, num_channels: int, path: Path) -> tuple[np.ndarray, float]:
    """(T, C) channel values and fps."""
    found = [(i, line.split()) for i, line in enumerate(lines[start + 1 :], start=start + 2) if line.strip()]
    match [cells for _, cells in found[:2]]:
        case [["Frames:", count], ["Frame", "Time:", duration]]:
            (num_frames,), (frame_s,) = (_numbers([c], 1, f"{path}, line {found[0][0]}") for c in (count, duration))
        case other:
            raise InputError(
                f"Expected 'Frames:' and 'Frame Time:', but got {other} in {path}, line {start + 2}. {AGAIN}"
            )
    rows = found[2:]
    if len(rows) != num_frames or not frame_s > 0:
        raise InputError(
            f"Expected {num_frames:g} frames and a frame time above 0, but got {len(rows)} and {frame_s} in {path}. {AGAIN}"
        )
    values = [_numbers(cells, num_channels, f"{path}, line {number}") for number, cells in rows]
    return np.array(values).reshape(len(rows), num_channels), 1 / frame_s


def _numbers(cells: list[str], count: int, where: str) -> list[float]:
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"Expected {count} numbers, but got {' '.join(cells)[:80]!r} in {where}. {AGAIN}")
    return values


def _positions(joints: list[_Joint], values: np.ndarray) -> np.ndarray:
    """(T, J, 3). A position channel stands in the place of its part of the offset, as Blender and most tools have it."""
    positions = np.zeros((len(values), len(joints), 3))
    turned: list[Rotation] = []
    column = 0
    for number, joint in enumerate(joints):
        local = np.tile(joint.offset, (len(values), 1))
        rotation = Rotation.identity(len(values))
        for channel in joint.channels:
            axis = "XYZ".index(channel[0])
            if channel[1:] == "position":
                local[:, axis] = values[:, column]
            else:  # the first rotation channel is the outermost one
                rotation = rotation * Rotation.from_rotvec(np.outer(values[:, column], np.eye(3)[axis]), degrees=True)
            column += 1
        if joint.parent >= 0:
            local = positions[:, joint.parent] + turned[joint.parent].apply(local)
            rotation = turned[joint.parent] * rotation
        positions[:, number] = local
        turned.append(rotation)
    return positions
