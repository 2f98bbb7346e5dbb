"""Where a data set's files lie: below its root, which is what the graph watches for changes, or one for each frame."""

import re
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


def numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """The files of a folder by the number in their names, pattern's first group. Raises InputError if there is none."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {int(match[1]): path for path in paths if (match := re.fullmatch(pattern, path.name))}
    if not found:
        raise InputError(f"Expected files that match {pattern!r}, but there is none in {folder}. Copy it again.")
    return found


def without_root(root: Path, text: str) -> str:
    """A text with the paths below root made relative to it: a report is for others, a home directory is not."""
    for whole in (root.resolve(), root):  # a cluster's workers see the former
        text = re.sub(rf"(?<![\w./-]){re.escape(f'{whole}/')}", "", text)
    return text
