"""Directories of Zarr arrays that are written whole or not at all, and whose damage is noticed on opening.

A Zarr reader takes a missing chunk file for a chunk of zeros, so every store carries a manifest of its files.
"""

import json
import os
import shutil
import zlib
from pathlib import Path

import zarr

from pipeline.config import InputError

MANIFEST = "manifest.json"
FINGERPRINT = "fingerprint.json"


def partial_path(path: Path) -> Path:
    """Where the unfinished version of an output lies; the finished one takes its place by a rename."""
    return path.with_name(path.name + ".partial")


def finish(partial: Path, path: Path) -> None:
    """Put a finished directory in its place."""
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, path)


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


def write_manifest(root: Path) -> None:
    """List the size and CRC-32 of every file below `root`; the last thing written into a store."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != MANIFEST)
    write_json(
        root / MANIFEST, {path.relative_to(root).as_posix(): [path.stat().st_size, _crc32(path)] for path in files}
    )


def open_store(path: Path, kind: str, checksums: bool = False) -> zarr.Group:
    """Open a store of the given kind (`la2ds_kind` in its attributes) after checking its manifest.

    Sizes are always compared, contents with `checksums`. Raises InputError that names the file and what to do.
    """
    again = "Delete the store and run its stage again."
    if not path.is_dir():
        raise InputError(f"Expected a {kind} store, but there is none at {path}. Run the stage that writes it.")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        manifest = {name: (size, crc32) for name, (size, crc32) in manifest.items()}
        if "zarr.json" not in manifest:
            raise ValueError
    except (OSError, ValueError, TypeError, AttributeError):
        raise InputError(f"Expected a {kind} store, but {path / MANIFEST} is missing or damaged. {again}") from None
    for name, (size, crc32) in manifest.items():
        file = path / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            got = "it is missing" if found is None else f"got {found}"
            raise InputError(f"Expected {size} bytes, but {got}: {file} (truncated store). {again}")
        if checksums and _crc32(file) != crc32:
            raise InputError(f"Expected CRC-32 {crc32}, but got another: {file} (damaged store). {again}")
    group = zarr.open_group(path, mode="r")
    if group.attrs.get("la2ds_kind") != kind:
        raise InputError(
            f"Expected a {kind} store, but got {group.attrs.get('la2ds_kind')!r} at {path}. Name another path."
        )
    return group


def open_partial(path: Path, fingerprint: dict) -> Path:
    """The unfinished version of an output, kept from an interrupted run if that run had the same fingerprint.

    fingerprint: JSON-ready description of everything the output depends on (settings, input manifests).
    """
    partial = partial_path(path)
    marker = partial / FINGERPRINT
    text = json.dumps(fingerprint, sort_keys=True)
    if partial.exists() and not (marker.is_file() and marker.read_text(encoding="utf-8") == text):
        shutil.rmtree(partial)
    if not partial.exists():
        partial.mkdir(parents=True)
        temporary = partial / (FINGERPRINT + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, marker)
    return partial


def content_hash(path: Path) -> str:
    """A short hash of a store's content, read from its manifest."""
    return f"{_crc32(path / MANIFEST):08x}"


def code_hash() -> str:
    """A short hash of this package's source: an output half made by other code is not taken up."""
    package = Path(__file__).parent
    value = 0
    for file in sorted(package.rglob("*.py")):
        value = zlib.crc32(file.read_bytes(), value)
    return f"{value:08x}"
