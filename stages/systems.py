"""What is trained on a data set, read from params.yaml."""

from pydantic import ValidationError

from pipeline.config import Config, InputError
from pipeline.methods import System, resolve
from stages.base import Params, one_line


class Section(Config, extra="allow"):
    """A section whose keys are looked at later."""


def systems_of(settings: Params, dataset: str, stage_two: bool = False) -> list[System]:
    """The systems of a data set, with their settings of stage two if wanted; raises InputError for wrong ones by their place."""
    entry = settings.dataset(dataset)
    preset = settings.section(f"presets.{entry.preset}", Section).model_extra
    fusion = settings.section(f"fusion.{entry.preset}", Section).model_extra if stage_two else None
    methods = settings.section("methods", Section).model_extra if entry.methods else {}
    systems: list[System] = []
    for method, inputs in entry.wanted.items():
        try:
            systems += resolve(preset, methods, {method: inputs}, fusion)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            key = f"presets.{entry.preset}" if method not in entry.methods else f"methods.{method}"
            raise InputError(
                f"Expected a valid setting, but {key}.{place} is wrong in {settings.path}: {one_line(first['msg'])}"
            ) from None
    return systems
