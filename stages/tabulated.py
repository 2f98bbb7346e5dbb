"""Entries below `tabulate` in params.yaml: tables that `dvc repro` makes."""

from pydantic import Field, ValidationError

from pipeline.config import Config, InputError, fault
from stages.base import Params


class Tabulated(Config):
    """What dvc.yaml calls the stage `table` with."""

    table: str
    dataset: str
    preset: str
    seeds: str = Field(coerce_numbers_to_str=True)  # one word: DVC puts no list into a command


def check_tabulated(settings: Params, name: str) -> None:
    """Raises InputError for a wrong entry of this name, where there is one, and says nothing of the others.

    DVC does not see what YAML makes of `{..., seeds: 0,1,2}`: one seed, and keys 1 and 2.
    """
    entries = settings.content.get("tabulate")
    if not isinstance(entries, dict) or name not in entries:
        return
    given = entries[name]
    if isinstance(given, dict) and (numbers := [key for key in given if isinstance(key, int)]):
        raise InputError(
            f"Expected seeds in quotes, but got keys {numbers} beside them at tabulate.{name} in {settings.path}."
            ' Write seeds: "0,1,2".'
        )
    try:
        Tabulated.model_validate(given or {})
    except ValidationError as error:
        place, why = fault(error, f"tabulate.{name}")
        raise InputError(f"Expected a valid setting, but {place} is wrong in {settings.path}: {why}") from None
