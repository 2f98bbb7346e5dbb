"""What every section of params.yaml is parsed into, and the one error that users see."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: expected, got, where, what to do."""


class Config(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, given: Any) -> Any:
        """Names a wrong key, and those that there are, before anything that is missing for it."""
        if cls.model_config["extra"] == "forbid" and isinstance(given, dict):
            for name in given:
                if name not in cls.model_fields:
                    raise ValidationError.from_exception_data(cls.__name__, [_unknown(name, given, cls.model_fields)])
        return given


class MissingPackage(InputError):
    """An optional package is not installed; the message says how to install it."""


class MissingOutput(InputError):
    """What a stage writes is not there.

    path: where it should be.
    """

    def __init__(self, path: Path):
        super().__init__(f"Expected the output of a stage, but there is none at {path}. Run its stage.")
        self.path = path


def fault(error: ValidationError, *below: str) -> tuple[str, str]:
    """The place of a wrong setting as a dotted key, and what is wrong with it.

    below: the keys that lead to what was parsed.
    """
    first = error.errors()[0]
    return ".".join([*below, *map(str, first["loc"])]) or "the whole", reason(first)


def reason(error: ErrorDetails) -> str:
    """What is wrong with a setting, in one line, with the value that was given if it is one."""
    given, message = error["input"], " ".join(error["msg"].removeprefix("Value error, ").split())
    shown = error["type"] not in ("value_error", "unknown_setting") and isinstance(given, str | int | float | None)
    return f"{message}, got {given!r}" if shown else message


def no_such_setting(name: Any, known: Collection[str]) -> str:
    """What to say of a name that is not among the known ones."""
    near = get_close_matches(str(name), known, 1)
    told = f"did you mean {near[0]!r}?" if near else f"there are {sorted(known)}"
    return f"there is no such setting; {told}"


def _unknown(name: Any, given: dict, known: Collection[str]) -> InitErrorDetails:
    error = PydanticCustomError("unknown_setting", "{told}", {"told": no_such_setting(name, known)})
    return InitErrorDetails(type=error, loc=(name,), input=given[name])
