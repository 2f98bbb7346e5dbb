"""What is trained on a data set, read from params.yaml."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from pipeline.config import Config, InputError, fault
from pipeline.inputs import OWN, Inputs
from pipeline.methods import System, resolve
from stages.base import Params


class Section(Config, extra="allow"):
    """A section whose keys are looked at later."""


def systems_of(
    settings: Params,
    dataset: str,
    *,
    rows: Mapping[str, Inputs] | None = None,
    preset: str | None = None,
    seeds: Sequence[int] | None = None,
    stage_two: bool = False,
) -> list[System]:
    """The systems of a data set, with their settings of stage two if wanted; raises InputError for wrong ones by their place.

    rows: method -> inputs, preset, seeds: others than those of its entry.
    """
    entry = settings.dataset(dataset)
    wanted, preset = entry.wanted if rows is None else rows, preset or entry.preset
    base = settings.section(f"presets.{preset}", Section).model_extra or {}
    base |= {} if seeds is None else {"seeds": seeds}
    fusion = settings.section(f"fusion.{preset}", Section).model_extra if stage_two else None
    methods = settings.section("methods", Section).model_extra if set(wanted) - {OWN} else {}
    systems: list[System] = []
    for method, inputs in ({OWN: ()} | wanted).items():  # the preset first: what is wrong in it is no method's fault
        keys = [f"presets.{preset}", f"fusion.{preset}"]
        if method != OWN:
            keys = [f"methods.{method}", f"methods.{method}.fusion"]
        for key, of_stage_two in zip(keys, (None, fusion), strict=True):
            try:
                found = resolve(base, methods or {}, {method: inputs}, of_stage_two)
            except ValidationError as error:
                place, why = fault(error, key)
                raise InputError(f"Expected a valid setting, but {place} is wrong in {settings.path}: {why}") from None
        systems += found
    return systems
