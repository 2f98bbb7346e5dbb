"""JSON of other tools, read with clear errors."""

import json
import re
from pathlib import Path

import numpy as np

from pipeline.config import InputError

AGAIN = "Write the file again."


def read_json(path: Path) -> object:
    """The content of a JSON file. Raises InputError, with file and line, if there is none that parses."""
    return parse_json(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises InputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Expected a file, but got {error.strerror!r} in {path}. Correct the path.") from None


def parse_json(text: bytes, where: str) -> object:
    """The content of JSON text; `where` names the file in errors."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected JSON, but got {str(error)!r} in {where}. {AGAIN}") from None


def typed(found: object, kind: type, what: str, where: str):
    """What was found, if it is of the type. Raises InputError otherwise."""
    if not isinstance(found, kind):
        expected = getattr(kind, "__name__", kind)
        raise InputError(f"Expected {what} of type {expected}, but got {type(found).__name__} in {where}. {AGAIN}")
    return found


def member(content: object, key: str, kind: type, where: str):
    """A member of a JSON object. Raises InputError if it is missing or of another type."""
    return typed(content.get(key) if isinstance(content, dict) else None, kind, repr(key), where)


def number_in(text: str, pattern: str, where: Path) -> int:
    """The frame's number, the pattern's first group, in a file name."""
    if not (match := re.search(pattern, text)):
        raise InputError(f"Expected a frame's number, but got {text!r} in {where}. Rename the file.")
    return int(match[1])


def keypoints(content: object, key: str, num_joints: int, where: str) -> np.ndarray:
    """(K, 3) float64 x, y and third value of each joint, from a person's flat list of numbers.

    Raises InputError for another list, and a coordinate that is not finite although the third value is above 0.
    """
    values = member(content, key, list, where)
    if len(values) != 3 * num_joints:
        raise InputError(
            f"Expected {3 * num_joints} numbers {key!r}, but got {len(values)} in {where}."
            " Name the skeleton that the file has."
        )
    try:
        found = np.array([value / 1 for value in values]).reshape(num_joints, 3)
    except (TypeError, OverflowError):
        raise InputError(f"Expected numbers {key!r}, but got others in {where}. {AGAIN}") from None
    if not np.isfinite(found[found[:, 2] > 0]).all():
        raise InputError(f"Expected finite numbers {key!r}, but got others in {where}. Give missing joints 0 0 0.")
    return found
