"""The one structure between stages: ragged 2D or 3D pose sequences, in memory and in one Zarr store."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zarr

from pipeline.clip import Clip, Split, check_clip, phases_from_events, usable
from pipeline.config import InputError
from pipeline.skeleton import Skeleton, skeleton_from_dict
from pipeline.store import finish, open_store, partial_path

KIND = "poses"
FRAMES_PER_CHUNK = 65_536
ARRAYS = ("joints", "confidence", "phase", "events", "offsets", "fps", "frame_size", "video_frames")
LISTS = ("names", "actions", "splits", "groups", "videos")


@dataclass(frozen=True)
class PoseSequences:
    """All sequences of one data set, concatenated over time (F frames, N sequences, E the most key events).

    joints (F, K, 2 or 3) float32; missing joints hold 0 and confidence 0. confidence (F, K) float32 in [0, 1].
    phase (F,) int16 in 0..E, -1 if unlabelled. events (N, E) int32 frame within its sequence, -1 if absent.
    offsets (N + 1,) int64: sequence n is frames offsets[n]:offsets[n + 1]. event_names: per action, its key events.
    poses: annotated, estimated, projected, motion_capture or synthetic. labels: none, derived, carried (from a few
    labelled clips by a network), human or exact.
    left_out: name -> reason of each sequence that was found and not taken. videos: path of each sequence's raw video or
    folder of frames, "" without. video_frames (F,) int32: the frame of it that a row shows. provenance: facts on how the
    poses came about (estimator, weights, what was bridged), for the report.
    """

    dataset: str
    skeleton: Skeleton
    joints: np.ndarray
    confidence: np.ndarray
    phase: np.ndarray
    events: np.ndarray
    offsets: np.ndarray
    names: tuple[str, ...]
    actions: tuple[str, ...]
    splits: tuple[Split, ...]
    groups: tuple[str, ...]
    fps: np.ndarray
    frame_size: np.ndarray
    event_names: dict[str, tuple[str, ...]]
    poses: str
    labels: str
    left_out: dict[str, str]
    videos: tuple[str, ...]
    video_frames: np.ndarray
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_frames(self) -> int:
        return int(self.offsets[-1])

    @property
    def lengths(self) -> np.ndarray:
        """(N,) frames of each sequence."""
        return np.diff(self.offsets)

    def frames(self, n: int) -> slice:
        """Where sequence n lies on the frame axis."""
        return slice(int(self.offsets[n]), int(self.offsets[n + 1]))

    def where(self, action: str, split: Split | None = None) -> list[int]:
        """Indices of the sequences of one action, and of one split if given, in stored order."""
        return [n for n in range(len(self)) if self.actions[n] == action and split in (None, self.splits[n])]


def from_clips(
    clips: Iterable[Clip],
    *,
    dataset: str,
    skeleton: Skeleton,
    event_names: dict[str, tuple[str, ...]],
    poses: str,
    labels: str,
    left_out: dict[str, str] | None = None,
    provenance: dict[str, str] | None = None,
    to_train: bool = True,
) -> PoseSequences:
    """Check the clips, leave out (with a warning) what cannot be used, and concatenate the rest.

    event_names: per action the names of its key events; an action that is not in it is unlabelled. to_train: the clips are
    a data set, with videos to train on and to validate with, not a few to embed.
    Raises InputError for wrong data, for two clips of one name, and for an action without enough videos in a split.
    """
    kept, useless = usable(clips, skeleton, event_names)
    left_out = {**(left_out or {}), **useless}
    if not kept:
        raise InputError(
            f"Expected pose sequences, but data set {dataset!r} has none that can be used. Check its root and actions."
        )
    if to_train:
        _check_splits(kept, dataset)
    num_events = max(len(event_names.get(clip.action, ())) for clip in kept)
    confidence = np.nan_to_num(np.concatenate([clip.confidence for clip in kept]), nan=0.0).astype(np.float32)
    joints = np.concatenate([clip.joints for clip in kept]).astype(np.float32)
    joints[confidence == 0] = 0
    events = np.full((len(kept), num_events), -1, dtype=np.int32)
    phase = []
    for row, clip in zip(events, kept, strict=True):
        row[: len(clip.events)] = clip.events
        num_frames = len(clip.joints)
        labelled = any(event >= 0 for event in clip.events)
        phase.append(
            phases_from_events(clip.events, num_frames) if labelled else np.full(num_frames, -1, dtype=np.int16)
        )
    return PoseSequences(
        dataset=dataset,
        skeleton=skeleton,
        joints=joints,
        confidence=confidence,
        phase=np.concatenate(phase),
        events=events,
        offsets=np.cumsum([0] + [len(clip.joints) for clip in kept]).astype(np.int64),
        names=tuple(clip.name for clip in kept),
        actions=tuple(clip.action for clip in kept),
        splits=tuple(clip.split for clip in kept),
        groups=tuple(clip.group for clip in kept),
        fps=np.array([clip.fps for clip in kept], dtype=np.float32),
        frame_size=np.array([clip.frame_size for clip in kept], dtype=np.int32),
        event_names={
            action: tuple(event_names.get(action, ())) for action in dict.fromkeys(clip.action for clip in kept)
        },
        poses=poses,
        labels=labels if (events >= 0).any() else "none",
        left_out=left_out,
        videos=tuple(clip.video for clip in kept),
        video_frames=np.concatenate([_video_frames(clip) for clip in kept]).astype(np.int32),
        provenance=dict(provenance or {}),
    )


def _video_frames(clip: Clip) -> np.ndarray:
    return np.arange(len(clip.joints)) if clip.video_frames is None else clip.video_frames


def _check_splits(clips: list[Clip], dataset: str) -> None:
    for action in dict.fromkeys(clip.action for clip in clips):
        for split, least in (("train", 1), ("val", 2)):
            found = sum(clip.action == action and clip.split == split for clip in clips)
            if found < least:
                raise InputError(
                    f"Expected at least {least} {split} videos, but got {found} for action {action!r} of data set {dataset!r}."
                    " Change the split, or leave the action out of 'actions'."
                )


def write_sequences(sequences: PoseSequences, path: Path, made_from: Mapping[str, Path] | None = None) -> None:
    """Write the store to a sibling and move it into place: a reader never sees half a store.

    made_from: as of `store.finish`.
    """
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    group = zarr.create_group(partial, zarr_format=3)
    for name in ARRAYS:
        array = getattr(sequences, name)
        chunks = (min(FRAMES_PER_CHUNK, max(1, len(array))), *(max(1, size) for size in array.shape[1:]))
        group.create_array(name, shape=array.shape, chunks=chunks, dtype=array.dtype)[...] = array
    group.update_attributes(
        {
            "la2ds_kind": KIND,
            "dataset": sequences.dataset,
            "poses": sequences.poses,
            "labels": sequences.labels,
            "synthetic": sequences.poses == "synthetic",
            "skeleton": sequences.skeleton.to_dict(),
            "event_names": {action: list(names) for action, names in sequences.event_names.items()},
            "left_out": sequences.left_out,
            "provenance": sequences.provenance,
            "sequences": {key: list(getattr(sequences, key)) for key in LISTS},
        }
    )
    finish(partial, path, made_from)


def read_sequences(path: Path) -> PoseSequences:
    """Read a whole store into memory (about 200 bytes a frame) and check it.

    Raises InputError that names the file, or the sequence and frame, at fault.
    """
    group = open_store(path, KIND, checksums=True)
    attrs = dict(group.attrs)
    arrays = {name: group[name][...] for name in ARRAYS}
    sequences = PoseSequences(
        dataset=attrs["dataset"],
        skeleton=skeleton_from_dict(attrs["skeleton"], f"{path} (skeleton)"),
        event_names={action: tuple(names) for action, names in attrs["event_names"].items()},
        poses=attrs["poses"],
        labels=attrs["labels"],
        left_out=attrs["left_out"],
        provenance=attrs["provenance"],
        **{key: tuple(values) for key, values in attrs["sequences"].items()},
        **arrays,
    )
    for clip in clips_of(sequences, str(path)):
        if reason := check_clip(clip, sequences.skeleton, len(sequences.event_names[clip.action])):
            raise InputError(
                f"Expected a usable sequence, but {clip.name!r} has {reason} in {path}. Run its stage again."
            )
    return sequences


def clips_of(sequences: PoseSequences, source: str = "") -> Iterator[Clip]:
    """The sequences one by one, as views of the concatenated arrays."""
    for n, name in enumerate(sequences.names):
        frames = sequences.frames(n)
        num_events = len(sequences.event_names[sequences.actions[n]])
        yield Clip(
            name=name,
            action=sequences.actions[n],
            split=sequences.splits[n],
            joints=sequences.joints[frames],
            confidence=sequences.confidence[frames],
            fps=float(sequences.fps[n]),
            events=tuple(int(event) for event in sequences.events[n, :num_events]),
            group=sequences.groups[n],
            frame_size=tuple(int(size) for size in sequences.frame_size[n]),
            source=source,
            video=sequences.videos[n],
            video_frames=sequences.video_frames[frames],
        )
