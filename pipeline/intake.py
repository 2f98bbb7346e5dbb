"""A folder that a user brings: which reader takes it, and the settings that make an entry of params.yaml of it."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from pipeline.config import InputError
from pipeline.datasets.events import read_lines
from pipeline.datasets.registry import READERS
from pipeline.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from pipeline.weights import sha256

MOTION_SUFFIXES = (".c3d", ".bvh", ".trc")  # each with a reader of its name
DERIVED = ["labels", "sequence", "action", "n_frames", "unclean"]  # what `la2ds events` writes around the events


def recognise(root: Path, by_folder: bool = True) -> dict:
    """The settings `reader`, `pattern` and, for folders of frames, `content` that fit what lies below root.

    by_folder: sub-folders that hold all the sequences are actions, or, if they are train and val, the split. Raises
    InputError where there is nothing, or where what there is does not tell how to read it.
    """
    files = files_below(root)
    suffixes = Counter(Path(file).suffix.lower() for file in files)
    if videos := [file for file in files if Path(file).suffix.lower() in VIDEO_SUFFIXES]:
        kinds = "|".join(suffix[1:] for suffix in VIDEO_SUFFIXES)
        return {"reader": "videos", "pattern": _pattern(videos, _suffix(videos, f"({kinds})"), by_folder)}
    if list(root.glob("labels/*.mat")):
        return {"reader": "penn_action"}
    if names := [file for file in files if file.endswith("_keypoints.json")]:
        return {"reader": "openpose", "pattern": _pattern(_folders(names), "", by_folder)}
    if len(motion := [suffix for suffix in MOTION_SUFFIXES if suffix in suffixes]) == 1:
        names = [file for file in files if Path(file).suffix.lower() == motion[0]]
        return {"reader": motion[0][1:], "pattern": _pattern(names, _suffix(names, motion[0][1:]), by_folder)}
    if images := [file for file in files if Path(file).suffix.lower() in IMAGE_SUFFIXES]:
        return {"reader": "videos", "content": "folders", "pattern": _pattern(_folders(images), "", by_folder)}
    found = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in suffixes.most_common()) or "nothing"
    raise InputError(
        f"Expected videos, folders of frames, OpenPose JSON, Penn Action labels or one of {MOTION_SUFFIXES}, but got"
        f" {found} in {root}. Name the reader, of {list(READERS)}, and its settings: --reader tracks"
        " --set skeleton=coco_17 --set 'pattern=.*\\.npz'"
    )


def _suffix(files: list[str], kinds: str) -> str:
    """The end of the pattern; cameras write MP4 as well as mp4."""
    return rf"\.{kinds}" if all(Path(file).suffix.islower() for file in files) else rf"\.(?i:{kinds})"


def files_below(root: Path) -> list[str]:
    """Paths relative to root, without hidden files. Raises InputError if there is no such folder."""
    if not root.is_dir():
        raise InputError(f"Expected a folder, but there is none at {root}. Give the folder that holds the files.")
    paths = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
    return [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]


def _folders(files: Iterable[str]) -> list[str]:
    """The folders that hold files; the root itself is none."""
    folders = {Path(file).parent.as_posix() for file in files} - {"."}
    if not folders:
        raise InputError(f"Expected one folder for each video, but {next(iter(files))} lies in none. Make the folders.")
    return sorted(folders)


def _pattern(names: list[str], suffix: str, by_folder: bool) -> str:
    """Of the paths below root, of files if they have a suffix; a sequence is named by its path where stems repeat."""
    depths, firsts = {name.count("/") for name in names}, {name.split("/")[0] for name in names}
    parts = [".+"] if suffix or len(depths) > 1 else ["[^/]+"] * (1 + min(depths))
    if by_folder and len(firsts) > 1 and 0 not in depths:
        first = "(?P<split>train|val)" if firsts == {"train", "val"} else "(?P<action>[^/]+)"
        parts = [first, *(parts if suffix or len(depths) > 1 else parts[1:])]
    stems = {re.sub(suffix + "$", "", name) for name in names}
    repeated = len({stem.split("/")[-1] for stem in stems}) < len(stems)
    return (f"(?P<name>{'/'.join(parts)})" if repeated else "/".join(parts)) + suffix


def make_source(
    root: Path,
    found: dict,
    *,
    action: str,
    estimator: dict,
    val_fraction: float,
    fps: float | None,
    settings: Iterable[str],
) -> dict:
    """The `source` of an entry of params.yaml: `found` by `recognise`, then what the reader needs, then `settings`.

    action, estimator, val_fraction: left out where the reader has none, or the pattern or the settings tell. settings:
    KEY=VALUE each, the value in YAML, the key with dots between levels.
    """
    more = dict(map(_parsed, settings))
    known = READERS[found["reader"]][0].model_fields if found["reader"] in READERS else {}
    told = str({**found, **more}.get("pattern", ""))
    if fps and found["reader"] == "videos" and found.get("content") != "folders":
        raise InputError(
            f"Expected no --fps, but got {fps} for {root}: videos tell their own. Resample them with --set fps={fps:g}."
        )
    source = {"reader": found["reader"], "root": _below_here(root)} | found
    source |= {} if "(?P<action>" in told else {"action": action}
    source |= {"estimator": estimator}
    source |= {} if "(?P<split>" in told or "val_groups" in more else {"val_fraction": val_fraction, "seed": 0}
    source = {key: value for key, value in source.items() if key in ("reader", "root") or key in known}
    if fps:
        source["frames_fps" if found["reader"] == "videos" else "fps"] = fps
    for key, value in more.items():
        *path, last = key.split(".")
        node = source
        for depth, part in enumerate(path, start=1):
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise InputError(
                    f"Expected a setting with others below it for --set {key}, but {'.'.join(path[:depth])} is {node!r}."
                    " Correct the key."
                )
        node[last] = value
    return source


def _below_here(path: Path) -> str:
    """Relative to the working directory, as params.yaml wants it, where the path is below it; else absolute."""
    whole = path.resolve()
    return (whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole).as_posix()


def estimator_settings(name: str, weights: Path | None, root: Path) -> dict:
    """The `estimator` setting; weights that lie elsewhere than below root are named with their SHA-256."""
    if weights is None:
        return {"name": name}
    if not weights.is_file():
        raise InputError(f"Expected a file of weights, but there is none at {weights}. Correct --weights.")
    here = weights.resolve().is_relative_to(Path.cwd())
    found = {"name": name, "weights": Path(os.path.relpath(weights, root) if here else weights.resolve()).as_posix()}
    inside = weights.resolve().is_relative_to(root.resolve())
    return found if inside else found | {"sha256": sha256(weights)}


def events_settings(path: Path, source: dict, names: set[str]) -> dict | str:
    """The `events` setting for a CSV of key events: the columns of its sequences, action, group and events.

    source: the settings, with what the user says of the CSV. names: of the sequences; the column that holds nothing else
    is theirs. Raises InputError if that leaves open which columns are meant.
    """
    inside, given = Path(os.path.relpath(path, source["root"])).as_posix(), source.get("events", {})
    if source["reader"] == "penn_action":
        return inside  # its CSV has columns of its own
    columns, lines = read_lines(path)
    found = {"path": inside} | {key: key for key in ("action", "group") if key in columns}
    named = [column for column in columns if lines and all(cells[column] in names for _, cells in lines)]
    if not named and "sequence" not in given:
        unknown = [cells[columns[0]] for _, cells in lines if cells[columns[0]] not in names]
        raise InputError(
            f"Expected a column with names of sequences, such as {min(names)!r}, but got columns {columns}, the first with"
            f" {unknown[:3]}, in {path}. Rename these, or remove their rows."
        )
    if named and "sequence" not in named:
        found["sequence"] = named[:1]
    if columns[:4] == DERIVED[:4] and columns[-1:] == DERIVED[4:]:
        found["columns"] = columns[4:-1]
    elif "columns" not in given and not any(column.startswith("event") for column in columns):
        raise InputError(
            f"Expected columns of key events, whose names begin with 'event', but got {columns} in {path}. Name them, in"
            f" order: --set 'events.columns=[{columns[-1]}]'"
        )
    return found | given


def _parsed(setting: str) -> tuple[str, object]:
    key, equals, value = setting.partition("=")
    if not (key and equals):
        raise InputError(f"Expected KEY=VALUE, but got {setting!r} for --set. Correct it.")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        return key, value  # a regular expression, as a rule
