"""Write an entry into params.yaml as lines of text, so that all other lines keep every byte."""

import os
import re
from pathlib import Path

import yaml

from pipeline.config import InputError

MAPPING, SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"


class _Lines(dict):
    """A mapping that is written with a line for each key; what is in these, if it is small, stands in braces."""


class _Line(list):
    """A list that is written on one line, with the lists in it."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Line, lambda dumper, line: dumper.represent_sequence(SEQUENCE, line, flow_style=True))
_Dumper.add_representer(_Lines, lambda dumper, lines: dumper.represent_mapping(MAPPING, lines, flow_style=False))


def check_name(path: Path, name: str, replace: bool) -> None:
    """Raise InputError for a name that cannot name a folder, and, without `replace`, for one that is taken."""
    if not re.fullmatch(r"\w[\w-]*", name, re.ASCII):
        raise InputError(f"Expected letters, digits, _ and - for the name of a data set, but got {name!r}. Rename it.")
    if name in (_load(path).get("datasets") or {}) and not replace:
        raise InputError(f"Expected a new name, but {name!r} is in {path} already. Choose another, or give --replace.")


def set_dataset(path: Path, name: str, entry: dict) -> None:
    """Add an entry below `datasets`, after the last, or in the place of the one of that name.

    Raises InputError for a file in which there is no place for it.
    """
    text, old = path.read_text(encoding="utf-8"), _load(path)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    start, stop, indent = _place(text, name, path)
    shown = {name: entry | {"inputs": _Line(entry["inputs"]), "source": _Lines(entry["source"])}}
    dumped = yaml.dump(shown, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=1000, allow_unicode=True)
    lines[start:stop] = [" " * indent + line for line in dumped.splitlines(keepends=True)]
    new = "".join(lines)
    if not _loads_as(new, {**old, "datasets": {**(old.get("datasets") or {}), name: entry}}):
        raise InputError(
            f"Expected `datasets:` with one entry below another in {path}. Write this one by hand: {entry}"
        )
    partial = path.with_name(path.name + ".partial")
    partial.write_text(new, encoding="utf-8")
    os.replace(partial, path)


def _load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _loads_as(text: str, content: dict) -> bool:
    try:
        return yaml.safe_load(text) == content
    except yaml.YAMLError:
        return False


def _place(text: str, name: str, path: Path) -> tuple[int, int, int]:
    """The lines that the entry takes the place of, and its indentation."""
    root = yaml.compose(text)
    for key, datasets in root.value if root else ():
        if key.value != "datasets":
            continue
        if not isinstance(datasets, yaml.MappingNode) or not datasets.value:
            return datasets.end_mark.line + 1, datasets.end_mark.line + 1, 2
        indent = datasets.value[0][0].start_mark.column
        for known, entry in datasets.value:
            if known.value == name:
                return known.start_mark.line, _end(entry), indent
        end = _end(datasets)
        return end, end, indent
    raise InputError(f"Expected a section `datasets`, but there is none in {path}. Add the line `datasets:`.")


def _end(node: yaml.Node) -> int:
    """The line after a node: where its last value ends, as PyYAML counts empty lines and comments to what holds it."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node.end_mark.line + (node.end_mark.column > 0)
