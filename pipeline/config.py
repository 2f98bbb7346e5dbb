"""What every section of params.yaml is parsed into, and the one error that users see."""

from pydantic import BaseModel, ConfigDict


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: expected, got, where, what to do."""


class Config(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MissingPackage(InputError):
    """An optional package is not installed; the message says how to install it."""
