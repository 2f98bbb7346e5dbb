"""Files of one sequence or more each, below one folder: which are meant, their actions, labels and split.

What the readers of single formats share. A reader turns each `Entry` into clips; `collect` makes a data set of them.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipeline.clip import Clip, check_clip, usable
from pipeline.config import Config, InputError
from pipeline.datasets.events import EventRow, check_rows
from pipeline.datasets.files import below, without_root
from pipeline.datasets.labels import EventsConfig, labelled, merged, read_labels, video_length
from pipeline.sequence import PoseSequences, from_clips
from pipeline.skeleton import Skeleton, load_skeleton

log = logging.getLogger(__name__)

RENAME = "Rename one, or name sequences by their folder, too: (?P<name>...) in 'pattern'."


class CollectionConfig(Config):
    """Which files below `root` are read, what they show, and how they are split.

    pattern: regular expression that the path below `root` matches as a whole, with "/" between folders. Its named
    groups: action, group (performer, style, recording), split (train or val), name (of the sequence; by default the
    file's stem). action: of all sequences. action_names: readable names for the pattern's actions. The events' action
    and group columns, if there are any, go before these. actions: those wanted, by default all. labels: who made the
    events; exact ones come with synthetic people.
    Validation: what the pattern or the events say, the groups val_groups, or a share val_fraction drawn with `seed`, of
    the groups or, where there are none, of each action's sequences, of those that can be used.
    """

    root: Path
    pattern: str
    action: str | None = Field(None, min_length=1)
    action_names: dict[str, str] = Field(default_factory=dict)
    actions: list[str] | None = Field(None, min_length=1)
    events: EventsConfig | None = None
    labels: Literal["derived", "human", "exact", "carried"] = "derived"
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
    def _agrees(self) -> "CollectionConfig":
        named = re.compile(self.pattern).groupindex
        by_label = bool(self.events and self.events.split)
        if [self.val_groups is not None, self.val_fraction is not None, "split" in named, by_label].count(True) != 1:
            raise ValueError("give one of val_groups, val_fraction, a group (?P<split>...) in pattern and events.split")
        if not (self.action or "action" in named or (self.events and self.events.action)):
            raise ValueError("give action, a group (?P<action>...) in pattern, or events.action")
        return self


@dataclass(frozen=True)
class Entry:
    """A file or folder that matches the pattern; name, action, group and split as its path tells, "" where it does not."""

    path: Path
    name: str
    action: str
    group: str
    split: str

    def clip(self, joints: np.ndarray, confidence: np.ndarray, fps: float, name="", group="", **more) -> Clip:
        """The clip that lies here; name and group of its own go before the path's. A split may be drawn later."""
        return Clip(
            name=name or self.name,
            action=self.action,
            split=self.split or "train",
            joints=joints,
            confidence=confidence,
            fps=fps,
            group=group or self.group,
            source=str(self.path),
            **more,
        )


def own_skeleton(root: Path, skeleton: str) -> Skeleton:
    """A built-in topology by name, or the user's own YAML file below the root."""
    return load_skeleton(str(below(root, Path(skeleton))) if skeleton.endswith((".yaml", ".yml")) else skeleton)


def entries(config: CollectionConfig, folders: bool = False) -> list[Entry]:
    """The files below root, or the folders, that match the pattern, in order. Raises InputError if there is none."""
    kind = "folders" if folders else "files"
    if not config.root.is_dir():
        raise InputError(f"Expected a folder of {kind}, but there is none at {config.root}. Correct 'root'.")
    found = []
    for path in sorted(config.root.rglob("*")):
        below_root = path.relative_to(config.root)
        match = re.fullmatch(config.pattern, below_root.as_posix())
        hidden = any(part.startswith(".") for part in below_root.parts)
        if match and path.is_dir() == folders and not hidden:
            named = {key: value or "" for key, value in match.groupdict().items()}
            action = config.action_names.get(named.get("action", ""), named.get("action", "")) or config.action or ""
            name = named.get("name") or (path.name if folders else path.stem)
            found.append(Entry(path, name, action, named.get("group", ""), named.get("split", "")))
    if not found:
        raise InputError(
            f"Expected {kind} that match {config.pattern!r}, but there is none in {config.root}. Correct 'root' or 'pattern'."
        )
    return found


def distinct(found: Iterable[Entry]) -> tuple[list[Entry], dict[str, str]]:
    """The first entry of each name, and why the others were left out, by path."""
    first: dict[str, Entry] = {}
    left_out = {}
    for entry in found:
        if (same := first.setdefault(entry.name, entry)) is not entry:
            left_out[str(entry.path)] = f"Expected one sequence {entry.name!r}, but {same.path} is it already. {RENAME}"
            log.warning("left out %s: %s", entry.path, left_out[str(entry.path)])
    return list(first.values()), left_out


def load_each(
    found: Iterable[Entry], load: Callable[[Entry], Iterable[Clip]], skeleton: Skeleton
) -> tuple[list[Clip], dict[str, str]]:
    """The clips of all entries, and why those that cannot be read or hold wrong data were left out, by name."""
    clips = []
    found, left_out = distinct(found)
    for entry in found:
        try:
            of_entry = list(load(entry))
            for clip in of_entry:
                check_clip(replace(clip, action=clip.action or "unknown", events=()), skeleton, 0)
            clips += of_entry
        except InputError as error:
            left_out[entry.name] = str(error)
            log.warning("left out %s: %s", entry.name, error)
    return clips, left_out


def collect(
    config: CollectionConfig,
    clips: list[Clip],
    left_out: dict[str, str],
    *,
    dataset: str,
    skeleton: Skeleton,
    poses: str,
    event_names: dict[str, tuple[str, ...]] | None = None,
    num_frames: dict[str, int] | None = None,
    provenance: dict[str, str] | None = None,
) -> PoseSequences:
    """Join the clips with their labels, keep the wanted actions, split and concatenate.

    left_out: what the reader could not read; paths in it become relative to the root. With `events`, a sequence without a
    row is left out, and one in which two events fall on one frame. event_names: of the events that the clips carry
    already, by action; those of `events` replace them. num_frames: of the raw videos, where rows are not frames. Raises
    InputError for a row without a sequence, names in the settings that are not in the data, and what `from_clips` refuses.
    """
    left_out = dict(left_out)
    rows: dict[str, EventRow] = {}
    if config.events:
        rows = read_labels(config.events, config.root, config.labels)
        wanted = ("", *(config.actions or (row.action for row in rows.values())))
        known = {name: row for name, row in rows.items() if name not in left_out and row.action in wanted}
        num_frames = num_frames or {clip.name: video_length(clip) for clip in clips}
        check_rows(known, num_frames, config.root)
        clips = [
            labelled(clip, rows[clip.name], config.events, num_frames[clip.name]) if clip.name in rows else clip
            for clip in clips
        ]
    if config.actions:
        if absent := set(config.actions) - (known := {clip.action for clip in clips}):
            raise InputError(
                f"Expected actions of {sorted(known)}, but got {sorted(absent)} for {dataset!r}. Correct 'actions'."
            )
        clips = [clip for clip in clips if clip.action in config.actions]
    if config.events:
        unlabelled = {clip.name: f"no row in {config.events.path}" for clip in clips if clip.name not in rows}
        clips = [clip for clip in clips if clip.name not in unlabelled]
        one_frame = {clip.name: reason for clip in clips if (reason := merged(clip, rows[clip.name]))}
        for name, reason in one_frame.items():
            log.warning("left out %s: %s", name, reason)
        left_out |= unlabelled | one_frame
        clips = [clip for clip in clips if clip.name not in one_frame]
        event_names = {clip.action: rows[clip.name].event_names for clip in clips}
    # Before the split: one useless sequence must not change the draw for all others.
    clips, useless = usable(clips, skeleton, event_names or {})
    left_out |= useless
    if not clips and left_out:
        name, reason = next(iter(left_out.items()))
        raise InputError(
            f"Expected sequences, but all {len(left_out)} of {dataset!r} were left out; the first, {name}: {reason}"
        )
    return from_clips(
        _split(clips, config),
        dataset=dataset,
        skeleton=skeleton,
        event_names=event_names or {},
        poses=poses,
        labels=config.labels,
        left_out={
            without_root(config.root, name): without_root(config.root, reason) for name, reason in left_out.items()
        },
        provenance=provenance,
    )


def _split(clips: list[Clip], config: CollectionConfig) -> list[Clip]:
    groups = sorted({clip.group for clip in clips if clip.group})
    if config.val_groups is not None:
        if absent := set(config.val_groups) - set(groups):
            raise InputError(
                f"Expected val_groups of {groups}, but got {sorted(absent)} for {config.root}. Correct 'val_groups'."
            )
        return [replace(clip, split="val" if clip.group in config.val_groups else "train") for clip in clips]
    if config.val_fraction is None:
        return clips
    rng = np.random.default_rng(config.seed)
    actions = dict.fromkeys(clip.action for clip in clips)
    pools = [groups] if groups else [sorted(c.name for c in clips if c.action == action) for action in actions]
    drawn = set()
    for pool in pools:
        drawn |= set(rng.permutation(pool)[: max(1, round(config.val_fraction * len(pool)))].tolist())
    return [replace(clip, split="val" if (clip.group or clip.name) in drawn else "train") for clip in clips]
