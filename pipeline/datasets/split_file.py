"""Data sets whose split is in a file of their own."""

import re
from dataclasses import replace
from pathlib import Path

from pydantic import model_validator

from pipeline.datasets.collection import CollectionConfig, Entry


class SplitFileConfig(CollectionConfig):
    """A `CollectionConfig` whose split may also be a JSON file, split, below the root; only what it names is read."""

    split: Path | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "SplitFileConfig":
        if self.split is None:
            return super()._agrees()
        named = re.compile(self.pattern).groupindex
        if self.val_groups or self.val_fraction or "split" in named:
            raise ValueError("give one of split, val_groups, val_fraction and a group (?P<split>...) in pattern")
        if not (self.action or "action" in named):
            raise ValueError("give action, or a group (?P<action>...) in pattern")
        return self


def split_by(splits: dict[str, str], found: list[Entry]) -> list[Entry]:
    """The entries that have a split by their name."""
    return [replace(entry, split=splits[entry.name]) for entry in found if entry.name in splits]
