"""The objectives by name: each is a file in this folder."""

import importlib
import pkgutil

import pipeline.objectives
from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings

NOT_ONE = {"base", "registry"}


def known_objectives() -> list[str]:
    """The names that `objective.name` in params.yaml can take."""
    found = (each.name for each in pkgutil.iter_modules(pipeline.objectives.__path__) if not each.ispkg)
    return sorted(name for name in found if name not in NOT_ONE)


def parse_objective(settings: dict) -> ObjectiveSettings:
    """The settings of the objective that `name` names; raises ValueError for one that is not there."""
    name = settings.get("name", "regression_matching")
    if name not in known_objectives():
        raise ValueError(f"name: objectives are {known_objectives()}, got {name!r}")
    return importlib.import_module(f"pipeline.objectives.{name}").Settings(**settings)


def make_objective(settings: ObjectiveSettings, width: int) -> AlignmentObjective:
    """The loss of these settings over embeddings of `width` numbers."""
    return importlib.import_module(f"pipeline.objectives.{settings.name}").Objective(settings, width)
