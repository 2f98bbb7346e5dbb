"""The modalities by name."""

from collections.abc import Iterable

from pipeline.modalities import flow, pose2d, rgb
from pipeline.modalities.base import Modality
from pipeline.modalities.stores import Stores

LOADERS = {"pose2d": pose2d.load, "rgb": rgb.load, "flow": flow.load}


def load_modalities(names: Iterable[str], stores: Stores) -> dict[str, Modality]:
    """What networks of these modalities see, read from the stores when it is asked for."""
    return {name: LOADERS[name](stores) for name in names}
