"""The objectives by name: each is a file in this folder."""

import importlib
import pkgutil
from types import ModuleType

import pipeline.objectives
from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings, OneVideoObjective

NOT_ONE = {"base", "registry"}


def known_objectives() -> list[str]:
    """The names that `objective.name` in params.yaml can take."""
    found = (each.name for each in pkgutil.iter_modules(pipeline.objectives.__path__) if not each.ispkg)
    return sorted(name for name in found if name not in NOT_ONE)


def parse_objective(settings: dict) -> ObjectiveSettings:
    """The settings of the objective that `name` names; raises ValueError for one that is not there, or is not whole."""
    name = settings.get("name", "regression_matching")
    if name not in known_objectives():
        raise ValueError(f"name: objectives are {known_objectives()}, got {name!r}")
    module = importlib.import_module(f"pipeline.objectives.{name}")
    if lacks := _lacks(module, name):
        raise ValueError(f"pipeline/objectives/{name}.py needs {lacks}; README.md shows a whole one")
    return module.Settings(**settings)


def make_objective(settings: ObjectiveSettings, width: int) -> AlignmentObjective:
    """The loss of these settings over embeddings of `width` numbers."""
    return importlib.import_module(f"pipeline.objectives.{settings.name}").Objective(settings, width)


def _lacks(module: ModuleType, name: str) -> str | None:
    """What an objective's file has to have and has not."""
    settings, objective = getattr(module, "Settings", None), getattr(module, "Objective", None)
    if not (isinstance(settings, type) and issubclass(settings, ObjectiveSettings)):
        return "a class Settings(ObjectiveSettings)"
    if settings.model_fields["name"].default != name:
        return f'name: Literal["{name}"] = "{name}", as the file is called, in its class Settings'
    if not (isinstance(objective, type) and issubclass(objective, AlignmentObjective)):
        return "a class Objective(AlignmentObjective)"
    if getattr(objective, "pairs", None) not in ("augmented", "two_videos"):
        return 'pairs = "augmented" or "two_videos" in its class Objective'
    of_one = issubclass(objective, OneVideoObjective)
    if of_one and objective.of_video is OneVideoObjective.of_video and objective.forward is OneVideoObjective.forward:
        return "a method of_video(self, view) in its class Objective"
    if objective.forward is AlignmentObjective.forward:
        return "a method forward(self, a, b) in its class Objective"
    return None
