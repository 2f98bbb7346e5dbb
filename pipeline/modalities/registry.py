"""The modalities by name."""

from collections.abc import Iterable
from functools import partial

from pipeline.modalities import coordinates, flow, pose2d, rgb
from pipeline.modalities.base import Modality
from pipeline.modalities.stores import Stores

LOADERS = {
    "pose2d": pose2d.load,
    "pose2d-joints": partial(pose2d.load, part="joints"),
    "pose2d-limbs": partial(pose2d.load, part="limbs"),
    "joints2d": coordinates.load_2d,
    "pose3d": coordinates.load_3d,
    "joints2d-zero": partial(coordinates.load_2d, missing="zero"),
    "pose3d-zero": partial(coordinates.load_3d, missing="zero"),
    "rgb": rgb.load,
    "flow": flow.load,
}


def load_modalities(names: Iterable[str], stores: Stores) -> dict[str, Modality]:
    """What networks of these modalities see, read from the stores when it is asked for."""
    return {name: LOADERS[name](stores) for name in names}
