"""What is trained on a data set: systems, each a method on an input, with its settings.

The method LA2DS is a preset as it stands. Another one, an entry below `methods` in params.yaml, is what it changes of the
preset: an objective, an encoder, an augmentation. Its name is what reports call it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.config import InputError
from pipeline.inputs import OWN, STORES, Input, Inputs, label
from pipeline.table import system
from pipeline.training import FusionConfig, TrainConfig, merged


@dataclass(frozen=True)
class System:
    """A method on an input. config: stage one of each of its modalities. fusion: stage two, None where it is not asked for."""

    method: str
    modalities: Input
    config: TrainConfig
    fusion: FusionConfig | None = None

    @property
    def name(self) -> str:
        return system(self.method, label(self.modalities))


def resolve(
    preset: Mapping, methods: Mapping[str, Mapping], wanted: Mapping[str, Inputs], fusion: Mapping | None = None
) -> list[System]:
    """The systems that a data set wants: method -> inputs, LA2DS's first.

    preset, fusion: these sections of params.yaml as they stand. methods: all entries by name.
    Raises InputError for a method that has no entry, or whose `modalities` and `fusion`, all that it changes, do not concern
    an input; and ValidationError for settings that are wrong.
    """
    systems = []
    for name, inputs in wanted.items():
        if name != OWN and name not in methods:
            raise InputError(
                f"Expected a method of {[OWN, *methods]}, but got {name!r}. Correct the name, or add it below `methods`."
            )
        changes = methods.get(name, {})
        if not isinstance(changes, Mapping) or not isinstance(changes.get("fusion", {}), Mapping):
            raise InputError(f"Expected what method {name!r} changes, key by key, but got {changes!r}. Correct it.")
        changes = dict(changes)
        of_fusion = changes.pop("fusion", {})
        stage_two = None if fusion is None else FusionConfig(**merged(dict(fusion), of_fusion))
        config = TrainConfig(**merged(dict(preset), changes))
        for modalities in inputs:
            if fusion is not None or not of_fusion:  # what is wrong in it is told where stage two is asked for
                _check_changes(name, changes, of_fusion, modalities)
            systems.append(System(name, modalities, config, stage_two))
    return systems


def _check_changes(method: str, changes: Mapping, of_fusion: Mapping, modalities: Input) -> None:
    """Refuses an input that all a method changes, modalities or fusion, does not concern: LA2DS under another name."""
    of_modalities = changes.get("modalities") or {}
    if set(changes) - {"modalities"} or (of_fusion and len(modalities) > 1) or set(of_modalities) & set(modalities):
        return
    if of_modalities or of_fusion:
        concerned = [*of_modalities, *(["inputs of several modalities"] if of_fusion else [])]
        raise InputError(
            f"Expected an input of method {method!r} with what it changes, which is {concerned}, but got"
            f" {list(modalities)}, where it is LA2DS itself. Correct its inputs."
        )


def encoders(systems: Iterable[System]) -> list[System]:
    """What stage one trains: each method on each modality that any of its inputs has."""
    found = {}
    for each in systems:
        for modality in each.modalities:
            alone = System(each.method, (modality,), each.config)
            found.setdefault(alone.name, alone)
    return list(found.values())


def fused(systems: Iterable[System]) -> list[System]:
    """What stage two trains: the systems of several modalities."""
    return [each for each in systems if len(each.modalities) > 1]


def modalities_of(systems: Iterable[System]) -> tuple[str, ...]:
    """All that any system sees."""
    seen = {modality for each in systems for modality in each.modalities}
    return tuple(name for name in STORES if name in seen)
