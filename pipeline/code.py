"""Which code a result depends on: the modules that a module imports, and what these import."""

import ast
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "stages", "commands")


def module_file(name: str) -> Path | None:
    """The file of one of our modules or packages, by its dotted name; None for anything else."""
    for candidate in (ROOT / (name.replace(".", "/") + ".py"), ROOT / name.replace(".", "/") / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imports(file: Path) -> set[Path]:
    """Our own modules that a file imports anywhere in it, with the packages around them."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    names = {name for name in names if name.split(".")[0] in PACKAGES}
    names |= {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    return {found for name in names if (found := module_file(name))}


def reach(file: Path) -> set[Path]:
    """The file, what it imports, and what that imports."""
    todo, seen = [file], set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file)
    return seen


@cache
def code_hash(modules: Iterable[str]) -> str:
    """A short hash of the source of modules and of all that they import. modules: a tuple of dotted names."""
    files = {file for name in modules for file in reach(module_file(name))}
    value = 0
    for file in sorted(files):
        value = zlib.crc32(file.read_bytes(), zlib.crc32(file.relative_to(ROOT).as_posix().encode(), value))
    return f"{value:08x}"
