"""The readers by name: from a `source` entry of params.yaml to pose sequences."""

from pydantic import ValidationError

from pipeline.config import Config, InputError
from pipeline.datasets import joints3d, penn_action, studio
from pipeline.sequence import PoseSequences

READERS = {
    "joints3d": (joints3d.Joints3DConfig, joints3d.read),
    "penn_action": (penn_action.PennActionConfig, penn_action.read),
    "studio": (studio.StudioConfig, studio.read),
}


def parse_source(entry: dict, where: str) -> Config:
    """The settings of the reader that `entry["reader"]` names.

    Raises InputError, in which `where` names the entry, for an unknown reader and a wrong, missing or unknown setting.
    """
    name = entry.get("reader")
    if name not in list(READERS):
        raise InputError(f"Expected a reader of {list(READERS)}, but got {name!r} in {where}. Correct 'reader'.")
    try:
        return READERS[name][0].model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"Expected settings of reader {name!r}, but {key} is wrong in {where}: {' '.join(first['msg'].split())}"
        ) from None


def read_source(config: Config, dataset: str) -> PoseSequences:
    """Read the data set that `config`, made by `parse_source`, describes; `dataset` is its name in params.yaml."""
    return READERS[config.reader][1](config, dataset)
