"""3D joints of any source: text files of one sequence each, or npz files of many; axes, split and events by settings.

Shapes: T frames of a sequence, F frames of a file, N sequences, K joints.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipeline.config import Config, InputError
from pipeline.datasets.events import EventRow, check_rows, read_events
from pipeline.datasets.files import below
from pipeline.sequence import Clip, PoseSequences, from_clips
from pipeline.skeleton import Skeleton, load_skeleton

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]


class EventsConfig(Config):
    """A CSV of key events: see `read_events`. sequence: its cells, joined by "/", are the sequence's name."""

    path: Path
    sequence: list[str] = Field(["sequence"], min_length=1)
    action: str | None = None
    columns: list[str] | None = None


class Joints3DConfig(Config):
    """Where the files lie, what is in them, and how they are split.

    pattern: regular expression that the path below `root` matches as a whole, with "/" between folders. Its named
    groups: action, group (performer, style, recording), name (of the sequence; by default the file's stem). The
    events' action column, if there is one, goes before the action of the pattern. action_names: readable names for
    the latter. actions: those wanted, by default all. labels: who made the events.

    npz: keys positions (F, K, 3), offsets (N + 1) and names (N); group_key: the key of N groups; fps: here or by key.
    text: `joint_rows` has K rows per frame, x y z or x y z confidence; `frame_rows` one row per frame with
    values_per_joint numbers for each joint, of which x y z come first. delimiter: None for white space.

    inferred_confidence: what a joint gets that has coordinates and confidence 0 in a text file. Kinect's trackers mark
    joints so that they infer from others (the trunk, as a rule); a joint at 0 0 0 stays missing.

    up, right: the axes that point up and to the image's right; left_handed: whether x, y, z are (as in Unity).
    Validation: the groups val_groups, or a share drawn with `seed`, of the groups or, where there are none, of each
    action's sequences.
    """

    reader: Literal["joints3d"] = "joints3d"
    root: Path
    skeleton: str
    format: Literal["npz", "text"]
    pattern: str
    action_names: dict[str, str] = Field(default_factory=dict)
    actions: list[str] | None = Field(None, min_length=1)
    events: EventsConfig | None = None
    labels: Literal["derived", "human"] = "derived"
    group_key: str | None = None
    layout: Literal["joint_rows", "frame_rows"] = "joint_rows"
    values_per_joint: int = Field(3, ge=3)
    delimiter: str | None = Field(None, min_length=1)
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    inferred_confidence: float = Field(0, ge=0, le=1)
    up: Axis = "y"
    right: Axis = "x"
    left_handed: bool = False
    val_groups: list[str] | None = Field(None, min_length=1)
    val_fraction: float | None = Field(None, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _agrees(self) -> "Joints3DConfig":
        if (self.val_groups is None) == (self.val_fraction is None):
            raise ValueError("give one of val_groups and val_fraction")
        if self.up[-1] == self.right[-1]:
            raise ValueError(f"up {self.up!r} and right {self.right!r} are the same axis")
        if "action" not in re.compile(self.pattern).groupindex and not (self.events and self.events.action):
            raise ValueError("actions need a group (?P<action>...) in pattern, or events.action")
        if self.format == "text" and self.fps is None:
            raise ValueError("text files need fps")
        return self


def read(config: Joints3DConfig, dataset: str) -> PoseSequences:
    """Read all sequences: joints in the data set's units, re-axed to x right, y up, z towards the viewer.

    A joint is missing where its confidence is 0 or, in files without confidences, where a coordinate is NaN. With
    `events`, a sequence without a row is left out. Raises InputError for files that do not hold what the settings
    say, a row of the events without a sequence, and names in the settings that are not in the data.
    """
    own = config.skeleton.endswith((".yaml", ".yml"))
    skeleton = load_skeleton(str(below(config.root, Path(config.skeleton))) if own else config.skeleton)
    rows, event_names = {}, {}
    clips = list(_clips(config, skeleton))
    num_frames = {clip.name: len(clip.joints) for clip in clips}
    if config.events:
        path = below(config.root, config.events.path)
        rows = read_events(path, config.events.sequence, config.events.action, config.events.columns)
        clips = [_with_row(clip, rows.get(clip.name)) for clip in clips]
    if config.actions:
        if absent := set(config.actions) - (known := {clip.action for clip in clips}):
            raise InputError(
                f"Expected actions of {sorted(known)}, but got {sorted(absent)} for {dataset!r}. Correct 'actions'."
            )
        clips = [clip for clip in clips if clip.action in config.actions]
        rows = {name: row for name, row in rows.items() if row.action in ("", *config.actions)}
    if config.events:
        check_rows(rows, num_frames, config.root)
        event_names = {clip.action: rows[clip.name].event_names for clip in clips if clip.name in rows}
    left_out = {
        clip.name: f"no row in {config.events.path}" for clip in clips if config.events and clip.name not in rows
    }
    return from_clips(
        _split([clip for clip in clips if clip.name not in left_out], config),
        dataset=dataset,
        skeleton=skeleton,
        event_names=event_names,
        poses="motion_capture",
        labels=config.labels,
        left_out=left_out,
    )


def _with_row(clip: Clip, row: EventRow | None) -> Clip:
    if row is None:
        return clip
    source = f"{clip.source}, events of {row.where}"
    return replace(clip, action=row.action or clip.action, events=row.events, source=source)


def _clips(config: Joints3DConfig, skeleton: Skeleton) -> Iterator[Clip]:
    """Every sequence as its file has it, but for the axes; all are of the training split yet."""
    files = sorted(path for path in config.root.rglob("*") if path.is_file())
    paths = {path.relative_to(config.root).as_posix(): path for path in files}
    matches = [(path, match) for name, path in paths.items() if (match := re.fullmatch(config.pattern, name))]
    if not matches:
        raise InputError(
            f"Expected files that match {config.pattern!r}, but there is none in {config.root}. Correct 'root' or 'pattern'."
        )
    order, signs = _axes(config)
    for path, match in matches:
        named = match.groupdict()
        action = config.action_names.get(named.get("action") or "", named.get("action") or "")
        read_file = _read_npz if config.format == "npz" else _read_text
        for name, group, fps, positions, confidence in read_file(path, config, skeleton):
            yield Clip(
                name=name or named.get("name") or path.stem,
                action=action,
                split="train",
                joints=positions[..., order] * signs,
                confidence=confidence,
                fps=fps,
                group=group or named.get("group") or "",
                source=str(path),
            )


def _axes(config: Joints3DConfig) -> tuple[np.ndarray, np.ndarray]:
    """(3,) which of the data set's axes become right, up and towards the viewer, and (3,) their signs."""
    right, up = (np.eye(3)["xyz".index(axis[-1])] * (-1 if axis[0] == "-" else 1) for axis in (config.right, config.up))
    axes = np.stack([right, up, np.cross(right, up) * (-1 if config.left_handed else 1)])
    return np.abs(axes).argmax(axis=1), axes.sum(axis=1)


File = Iterator[tuple[str, str, float, np.ndarray, np.ndarray]]  # name, group, fps, (T, K, 3), (T, K)


def _read_npz(path: Path, config: Joints3DConfig, skeleton: Skeleton) -> File:
    again = "Write the file again without pickled objects."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        detail = " ".join(str(error).split())
        raise InputError(f"Expected an npz file of plain arrays, but got {detail!r} in {path}. {again}") from None
    keys = ["positions", "offsets", "names", *([config.group_key] if config.group_key else [])]
    if config.fps is None:
        keys.append("fps")
    if missing := [key for key in keys if key not in content]:
        hint = " to the file, or set 'fps'" if missing[0] == "fps" else ""
        raise InputError(f"Expected keys {keys}, but {missing[0]!r} is missing in {path}. Add it{hint}.")
    positions, offsets, names = (content[key] for key in ("positions", "offsets", "names"))
    if names.ndim != 1:
        raise InputError(f"Expected (N,) names, but got {names.shape} in {path}. Correct them.")
    if positions.ndim != 3 or positions.shape[1:] != (skeleton.num_joints, 3) or positions.dtype.kind not in "fiu":
        expected = f"positions (F, {skeleton.num_joints}, 3) for skeleton {skeleton.name!r}"
        raise InputError(
            f"Expected {expected}, but got {positions.shape} of {positions.dtype} in {path}. Name another skeleton."
        )
    if (
        offsets.shape != (len(names) + 1,)
        or offsets.dtype.kind not in "iu"
        or offsets[0] != 0
        or offsets[-1] != len(positions)
        or (np.diff(offsets) < 0).any()
    ):
        raise InputError(
            f"Expected {len(names) + 1} offsets that rise from 0 to {len(positions)}, but got {offsets.shape} from"
            f" {offsets[:1]} to {offsets[-1:]} in {path}. Correct them."
        )
    groups = content[config.group_key] if config.group_key else np.full(len(names), "")
    if groups.shape != names.shape:
        raise InputError(f"Expected {names.shape} {config.group_key}, but got {groups.shape} in {path}. Correct it.")
    if (
        rate := np.asarray(content["fps"] if config.fps is None else config.fps)
    ).size != 1 or rate.dtype.kind not in "fiu":
        raise InputError(f"Expected one frame rate, but got fps {rate.shape} of {rate.dtype} in {path}. Set 'fps'.")
    for name, group, start, stop in zip(names, groups, offsets[:-1], offsets[1:], strict=True):
        joints = positions[start:stop]
        yield str(name), str(group), float(rate.item()), joints, ~np.isnan(joints).any(axis=2)


def _read_text(path: Path, config: Joints3DConfig, skeleton: Skeleton) -> File:
    num_joints = skeleton.num_joints
    joint_rows = config.layout == "joint_rows"
    widths = (3, 4) if joint_rows else (num_joints * config.values_per_joint,)
    try:
        # Some writers end every row with a delimiter.
        lines = [line.strip().rstrip(config.delimiter) for line in path.read_text(encoding="utf-8").splitlines()]
        table = np.loadtxt(lines, delimiter=config.delimiter, ndmin=2) if any(lines) else np.empty((0, widths[0]))
    except ValueError as error:
        raise InputError(f"Expected rows of numbers, but got {error} in {path}. Correct the file.") from None
    if table.shape[1] not in widths or (joint_rows and len(table) % num_joints):
        rows = f"a multiple of {num_joints} rows" if joint_rows else "rows"
        raise InputError(
            f"Expected {rows} of {' or '.join(map(str, widths))} numbers, but got {table.shape} in {path}."
            " Correct 'layout', 'values_per_joint' or 'skeleton'."
        )
    table = table.reshape(-1, num_joints, table.shape[1] if joint_rows else config.values_per_joint)
    positions = table[..., :3]
    confidence = (~np.isnan(positions).any(axis=2)).astype(np.float64)
    if joint_rows and table.shape[2] == 4:
        inferred = (table[..., 3] == 0) & (confidence > 0) & (positions != 0).any(axis=2)
        confidence = np.where(inferred, config.inferred_confidence, table[..., 3])
    yield "", "", config.fps, positions, confidence


def _split(clips: list[Clip], config: Joints3DConfig) -> list[Clip]:
    groups = sorted({clip.group for clip in clips if clip.group})
    if config.val_groups is not None:
        if absent := set(config.val_groups) - set(groups):
            raise InputError(
                f"Expected val_groups of {groups}, but got {sorted(absent)} for {config.root}. Correct 'val_groups'."
            )
        return [replace(clip, split="val" if clip.group in config.val_groups else "train") for clip in clips]
    rng = np.random.default_rng(config.seed)
    actions = dict.fromkeys(clip.action for clip in clips)
    pools = [groups] if groups else [sorted(c.name for c in clips if c.action == action) for action in actions]
    drawn = set()
    for pool in pools:
        drawn |= set(rng.permutation(pool)[: max(1, round(config.val_fraction * len(pool)))].tolist())
    return [replace(clip, split="val" if (clip.group or clip.name) in drawn else "train") for clip in clips]
