"""Weights that the user names by path, and what proves which they are."""

import hashlib
from pathlib import Path

from pipeline.config import InputError


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_weights(root: Path, weights: Path, expected: str | None) -> Path:
    """The file of weights, given relative to the data set's root or whole.

    expected: its SHA-256, or the beginning of it. It may be left out for a file below root, which the graph watches.
    Raises InputError for a missing file, for one elsewhere without `expected`, and for one that is another.
    """
    path = root / weights
    if not path.is_file():
        raise InputError(f"Expected a file of weights, but there is none at {path}. Correct 'weights'.")
    found = sha256(path)
    if expected is None and not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"Expected weights below root {root} or their 'sha256', but got {path} without. Add sha256: {found}"
        )
    if not found.startswith(expected or ""):
        raise InputError(f"Expected weights of SHA-256 {expected}, but got {found} in {path}. Give the right file.")
    return path
