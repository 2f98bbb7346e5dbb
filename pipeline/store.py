"""Directories that are written whole or not at all, know what they were made from, and whose damage is noticed.

Every output has a manifest: its files, and the content of the inputs it was made from. It matters most for Zarr, which
takes a missing chunk file for a chunk of zeros. While an output is being made it is called `<name>.partial`, and
`<name>.partial.json` says what a later run must have in common with this one to go on with it.
"""

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import zarr

from pipeline.config import InputError, MissingOutput

MANIFEST = "manifest.json"
AGAIN = "Delete it and run its stage again."


def partial_path(path: Path) -> Path:
    """Where the unfinished version of an output lies; the finished one takes its place by a rename."""
    return path.with_name(path.name + ".partial")


def open_partial(path: Path, fingerprint: dict) -> Path:
    """The unfinished version of an output, kept from an interrupted run if that run had the same fingerprint.

    fingerprint: JSON-ready description of everything the output depends on, the code apart, which is added here.
    """
    partial = partial_path(path)
    marker = partial.with_name(partial.name + ".json")
    text = json.dumps({**fingerprint, "code": _code_hash()}, sort_keys=True)
    if not (marker.is_file() and marker.read_text(encoding="utf-8") == text):
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    marker.write_text(text, encoding="utf-8")
    return partial


def finish(partial: Path, path: Path, made_from: Mapping[str, Path] | None = None) -> None:
    """Write the manifest of a finished directory and put it in its place.

    made_from: the inputs by name, each an output with a manifest of its own.
    """
    files = sorted(file for file in partial.rglob("*") if file.is_file() and file.name != MANIFEST)
    manifest = {
        "made_from": {name: content_hash(source) for name, source in (made_from or {}).items()},
        "files": {file.relative_to(partial).as_posix(): [file.stat().st_size, _crc32(file)] for file in files},
    }
    write_json(partial / MANIFEST, manifest)
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.with_name(path.name + ".partial.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(partial, path)
    shutil.rmtree(old, ignore_errors=True)
    partial.with_name(partial.name + ".json").unlink(missing_ok=True)


def check(path: Path, made_from: Mapping[str, Path] | None = None, checksums: bool = False) -> None:
    """Compare an output with its manifest: sizes of all files, contents with `checksums`, and what it was made from.

    Raises InputError that names the file and what to do.
    """
    if not path.is_dir():
        raise MissingOutput(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = {name: (size, crc32) for name, (size, crc32) in manifest["files"].items()}
        recorded = dict(manifest["made_from"])
        if not files:
            raise ValueError
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        raise InputError(f"Expected a manifest, but {path / MANIFEST} is missing or damaged. {AGAIN}") from None
    for name, (size, crc32) in files.items():
        file = path / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            got = "it is missing" if found is None else f"got {found}"
            raise InputError(f"Expected {size} bytes, but {got}: {file} (truncated store). {AGAIN}")
        if checksums and _crc32(file) != crc32:
            raise InputError(f"Expected CRC-32 {crc32}, but got another: {file} (damaged store). {AGAIN}")
    for name, source in (made_from or {}).items():
        if recorded.get(name) != content_hash(source):
            raise InputError(
                f"Expected {path} made from {source} as it is now, but it was made from other {name}. Run its stage again."
            )


def open_store(
    path: Path, kind: str, made_from: Mapping[str, Path] | None = None, checksums: bool = False
) -> zarr.Group:
    """Open a Zarr store of the given kind (`la2ds_kind` in its attributes) after `check`; raises InputError as it does."""
    check(path, made_from, checksums)
    group = zarr.open_group(path, mode="r") if (path / "zarr.json").is_file() else None
    found = None if group is None else group.attrs.get("la2ds_kind")
    if found != kind:
        raise InputError(f"Expected a {kind} store, but got {found!r} at {path}. Name another path.")
    return group


def content_hash(path: Path) -> str:
    """A short hash of an output's content and origin, read from its manifest."""
    if not (path / MANIFEST).is_file():
        raise MissingOutput(path)
    return f"{_crc32(path / MANIFEST):08x}"


def write_json(path: Path, content) -> None:
    """Write JSON atomically, in the order given, so that equal content gives equal bytes."""
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value


def _code_hash() -> str:
    """A short hash of this package's source: an output half made by other code is not taken up."""
    package = Path(__file__).parent
    value = 0
    for file in sorted(package.rglob("*.py")):
        value = zlib.crc32(file.read_bytes(), value)
    return f"{value:08x}"
