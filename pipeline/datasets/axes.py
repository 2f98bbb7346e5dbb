"""What readers of 3D files share: the axes of a recording, its units, and which of its markers are a joint.

Shapes: T frames, M markers, K joints.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.clip import Clip
from pipeline.config import Config, InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
Unit = Literal["mm", "cm", "m", "in"]
METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}

Markers = tuple[list[str], np.ndarray, float]  # M names, (T, M, 3) positions, NaN where missing, fps


class AxesConfig(Config):
    """up, right: the axes that point up and to the image's right; left_handed: whether x, y, z are (as in Unity)."""

    up: Axis = "y"
    right: Axis = "x"
    left_handed: bool = False

    @model_validator(mode="after")
    def _axes_differ(self) -> "AxesConfig":
        if self.up[-1] == self.right[-1]:
            raise ValueError(f"up {self.up!r} and right {self.right!r} are the same axis")
        return self

    def turn(self, positions: np.ndarray) -> np.ndarray:
        """(..., 3) the data set's x, y, z to x right, y up, z towards the viewer."""
        right, up = (np.eye(3)["xyz".index(axis[-1])] * (-1 if axis[0] == "-" else 1) for axis in (self.right, self.up))
        axes = np.stack([right, up, np.cross(right, up) * (-1 if self.left_handed else 1)])
        return positions[..., np.abs(axes).argmax(axis=1)] * axes.sum(axis=1)


class MarkersConfig(AxesConfig, CollectionConfig):
    """Files of named markers, or of named joints.

    joints: joint of the skeleton -> the marker that it is, or several whose mean it is, or [] if the files have none for
    it. A joint that is not there is the marker of its own name. What precedes a colon in a marker's name (the person's)
    may be left out where no two markers become the same.
    """

    skeleton: str
    joints: dict[str, str | list[str]] = Field(default_factory=dict)


def read_markers(config: MarkersConfig, dataset: str, read_file: Callable[[Path], Markers]) -> PoseSequences:
    """One sequence from each file. A joint is missing where one of its markers is.

    A file that cannot be read, or lacks a marker throughout, is left out. Raises InputError for a joint that the
    skeleton does not have, and as `entries` and `collect` do.
    """
    skeleton = own_skeleton(config.root, config.skeleton)
    if unknown := set(config.joints) - set(skeleton.joints):
        raise InputError(
            f"Expected joints of skeleton {skeleton.name!r}, but got {sorted(unknown)} for {dataset!r}. Correct 'joints'."
        )

    def load(entry: Entry) -> Iterator[Clip]:
        names, positions, fps = read_file(entry.path)
        joints = config.turn(_joints(names, positions, config, skeleton, entry.path))
        yield entry.clip(joints, ~np.isnan(joints).any(axis=2), fps)

    clips, left_out = load_each(entries(config), load, skeleton)
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses="motion_capture")


def _joints(
    names: list[str], positions: np.ndarray, config: MarkersConfig, skeleton: Skeleton, where: Path
) -> np.ndarray:
    short = [name.rpartition(":")[2] for name in names]
    index = {name: i for listed in (short, names) for i, name in enumerate(listed) if listed.count(name) == 1}
    joints = np.full((len(positions), skeleton.num_joints, 3), np.nan)
    for number, joint in enumerate(skeleton.joints):
        wanted = config.joints.get(joint, joint)
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if absent := [name for name in wanted if name not in index]:
            raise InputError(
                f"Expected marker {absent[0]!r} once for joint {joint!r}, but got {names} in {where}. Correct 'joints'."
            )
        if wanted:
            joints[:, number] = positions[:, [index[name] for name in wanted]].mean(axis=1)
    return joints


def metres(unit: str, chosen: Unit | None, where: Path) -> float:
    """Metres in a file's unit of length, or in the one chosen instead."""
    if (unit := chosen or unit.strip().lower()) not in METRES:
        raise InputError(f"Expected a unit of {list(METRES)}, but got {unit!r} in {where}. Set 'units'.")
    return METRES[unit]
