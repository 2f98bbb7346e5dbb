"""What a network sees: one modality, or several fused, named as in `inputs` of params.yaml and in the long table."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from pipeline.config import InputError, fault

# Each modality, and the store that it is made from. A new one: a line here and its file in `pipeline/modalities`.
# An input names its modalities in this order, and a fused network is as wide as the first.
STORES = {
    "pose2d": "heatmaps",
    "pose2d-joints": "heatmaps",
    "pose2d-limbs": "heatmaps",
    "joints2d": "poses",
    "pose3d": "extracted",
    "joints2d-zero": "poses",
    "pose3d-zero": "extracted",
    "rgb": "frames",
    "flow": "frames",
}

OWN, UNTRAINED = "la2ds", "untrained"  # "untrained X" where the architecture is that of method X
CONTROLS = {
    "time_only": "time",
    "raw_pose": "pose2d",
    "raw_rgb": "rgb",
    "dtw": "pose2d",
    "soft_dtw": "pose2d",
    "majority": "none",
}  # method -> its only input


def _known(modalities: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(modalities) - set(STORES):
        raise ValueError(f"modalities are {list(STORES)}, got {sorted(unknown)}")
    if len(set(modalities)) < len(modalities):
        raise ValueError(f"a modality stands once in an input, got {list(modalities)}")
    return tuple(name for name in STORES if name in modalities)


Input = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known)]


def _distinct(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    if len(set(inputs)) < len(inputs):
        raise ValueError(f"inputs must differ, got {[label(modalities) for modalities in inputs]}")
    return inputs


def _nested(inputs: Any) -> Any:
    if isinstance(inputs, str) or (isinstance(inputs, Sequence) and any(isinstance(each, str) for each in inputs)):
        raise ValueError(f"inputs are lists of modalities, such as [[pose2d], [pose2d, rgb]], got {inputs!r}")
    return inputs


Inputs = Annotated[tuple[Input, ...], Field(min_length=1), AfterValidator(_distinct), BeforeValidator(_nested)]


def _own_name(name: str) -> str:
    taken = {OWN, UNTRAINED, *CONTROLS}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+.-]*", name) or name.lower() in taken:
        raise ValueError(f"a method has a name of its own, of letters, digits, +, - and ., got {name!r}")
    return name


def _row_name(name: str) -> str:
    if name != OWN and name.lower() == OWN:
        raise ValueError(f"LA2DS is called {OWN!r} here, got {name!r}")
    return name if name == OWN else _own_name(name)


MethodName = Annotated[str, AfterValidator(_own_name)]
Rows = dict[Annotated[str, AfterValidator(_row_name)], Inputs]  # method, or LA2DS -> its inputs


def label(modalities: Iterable[str]) -> str:
    """`pose2d+rgb`: what the long table calls an input."""
    return "+".join(modalities)


def parse(text: str) -> list[list[str]]:
    """`pose2d,rgb,pose2d+rgb` -> [[pose2d], [rgb], [pose2d, rgb]]; raises InputError for what `Inputs` refuses."""
    given = [part.strip().split("+") for part in text.split(",")]
    try:
        return [list(modalities) for modalities in TypeAdapter(Inputs).validate_python(given)]
    except ValidationError as error:
        _, told = fault(error)
        raise InputError(f"Expected inputs such as pose2d,rgb,pose2d+rgb, but got {text!r}: {told}.") from None


def needs_pictures(inputs: Inputs) -> bool:
    """Whether any input is made from pictures."""
    return any(STORES[name] == "frames" for modalities in inputs for name in modalities)
