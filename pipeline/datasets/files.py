"""Where a data set's side files lie: below its root, which is what the graph watches for changes."""

from pathlib import Path

from pipeline.config import InputError


def below(root: Path, path: Path) -> Path:
    """A path given relative to the root or whole. Raises InputError if it is not below the root."""
    found = root / path
    if not found.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"Expected a file below root {root}, but got {path}. Put it there, where changes to it are noticed."
        )
    return found
