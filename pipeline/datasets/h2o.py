"""H2O (Kwon et al., ICCV 2021): two hands in 3D, `subject1/h1/1/cam4/hand_pose/000000.txt ...`, skeleton `hands_42`.

Shapes: T frames, K joints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import Entry, collect, entries, load_each
from pipeline.datasets.files import below, numbered
from pipeline.datasets.frame_labels import events_of
from pipeline.datasets.json_file import member, read_json
from pipeline.datasets.people import frame_rows
from pipeline.datasets.split_file import SplitFileConfig, split_by
from pipeline.sequence import PoseSequences
from pipeline.skeleton import load_skeleton

VERBS = (
    "background", "grab", "place", "open", "close", "pour", "take out", "put in", "apply", "read", "spray", "squeeze",
)  # fmt: skip
ACTIONS = (
    "background", "grab book", "grab espresso", "grab lotion", "grab spray", "grab milk", "grab cocoa", "grab chips",
    "grab cappuccino", "place book", "place espresso", "place lotion", "place spray", "place milk", "place cocoa",
    "place chips", "place cappuccino", "open lotion", "open milk", "open chips", "close lotion", "close milk",
    "close chips", "pour milk", "take out espresso", "take out cocoa", "take out chips", "take out cappuccino",
    "put in espresso", "put in cocoa", "put in cappuccino", "apply lotion", "apply spray", "read book", "read espresso",
    "spray spray", "squeeze lotion",
)  # fmt: skip
NAMES = {"action_label": ACTIONS, "verb_label": VERBS}
AGAIN = "Copy it again."


class H2OConfig(SplitFileConfig):
    """What is read of each sequence's folder of one camera, which the pattern matches.

    split: {"train": {name: ...}, "test": {name: ...}} with names like subject1/h1/1, as of LAV and CASA. joints: 3d, to be
    projected orthographically, or 2d, pixels by the camera's intrinsics. phases: the labels, by number or name, of which
    each begins a phase, in order; labels that are not named change nothing. phase_labels: the folder of these.
    """

    reader: Literal["h2o"] = "h2o"
    pattern: str = r"(?P<name>(?P<group>subject\d+)/\w+/\d+)/cam4"
    joints: Literal["3d", "2d"] = "3d"
    phases: list[int | str] | None = Field(None, min_length=1)
    phase_labels: Literal["action_label", "verb_label"] = "action_label"
    labels: Literal["derived", "human", "carried"] = "human"
    fps: float = Field(30, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _knows_phases(self) -> "H2OConfig":
        names = NAMES[self.phase_labels]
        if unknown := [phase for phase in self.phases or () if phase not in names and phase not in range(len(names))]:
            raise ValueError(f"{self.phase_labels} has no {unknown[0]!r}, but {list(names)}, or their numbers")
        if self.phases and self.events:
            raise ValueError("give one of phases and events")
        return self

    @property
    def phase_numbers(self) -> list[int]:
        names = NAMES[self.phase_labels]
        return [names.index(phase) if isinstance(phase, str) else phase for phase in self.phases or ()]


def read(config: H2OConfig, dataset: str) -> PoseSequences:
    """Read all sequences: (F, 42, 3) metres, x right, y up, z towards the camera, or (F, 42, 2) pixels.

    A hand whose flag is 0, and a frame without a file between others, is missing. Left out are sequences with a damaged
    file, those that `split` names and that are not there, and those whose labels do not come in the order of phases.
    Raises InputError as `entries` and `collect` do.
    """
    skeleton = load_skeleton("hands_42")
    found, absent = entries(config, folders=True), {}
    if config.split:
        path = below(config.root, config.split)
        content = read_json(path)
        splits = {
            name: split
            for key, split in (("train", "train"), ("test", "val"))
            for name in member(content, key, dict, str(path))
        }
        found = split_by(splits, found)
        absent = dict.fromkeys(sorted(set(splits) - {e.name for e in found}), "no folder of this name")

    def load(entry: Entry) -> Iterator[Clip]:
        hands, frames, step = _hands(entry.path / "hand_pose")
        confidence = np.repeat(hands[..., 0, None], 21, axis=2).reshape(-1, 42)
        joints = hands[..., 1:].reshape(-1, 42, 3)
        video = entry.path / "rgb"
        more = {"video": str(video) if video.is_dir() else "", "video_frames": frames, "times": frames / config.fps}
        if config.joints == "2d":
            joints, more["frame_size"] = _pixels(joints, entry.path / "cam_intrinsics.txt")
            confidence = np.where(np.isnan(joints).any(axis=2), 0, confidence)  # behind the camera
        else:
            joints = joints * (1, -1, -1)  # the camera's y points down, its z away
        if config.phases:
            more["events"] = _events(entry.path, frames, config)
        yield entry.clip(joints, confidence, config.fps / step, **more)

    clips, left_out = load_each(found, load, skeleton)
    poses = "annotated" if config.joints == "2d" else "motion_capture"
    phases = tuple(NAMES[config.phase_labels][number] for number in config.phase_numbers)
    return collect(
        config,
        clips,
        left_out | absent,
        dataset=dataset,
        skeleton=skeleton,
        poses=poses,
        event_names={clip.action: phases for clip in clips},
    )


def _numbers(path: Path, count: int) -> np.ndarray:
    """(count,) the numbers of a text file."""
    try:
        values = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"Expected {count} numbers, but got {error} in {path}. {AGAIN}") from None
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"Expected {count} finite numbers, but got {len(values)} numbers in {path}. {AGAIN}")
    return values


def _hands(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """(T, 2, 64) left and right hand: flag, x y z of 21 joints; (T,) frames' numbers; and the step between them."""
    files = numbered(folder, r"(\d+)\.txt")
    frames, step = frame_rows(files, folder)
    hands = np.zeros((len(frames), 2, 64))
    for number, path in files.items():
        row = (number - frames[0]) // step
        hands[row] = _numbers(path, 128).reshape(2, 64)
        if not set(flags := hands[row, :, 0].tolist()) <= {0, 1}:
            raise InputError(f"Expected flags 0 or 1 before each hand, but got {flags} in {path}. {AGAIN}")
    return hands, frames, step


def _pixels(joints: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """(T, K, 2) perspective projection, NaN behind the camera, and the frame's (width, height)."""
    fx, fy, cx, cy, width, height = _numbers(path, 6)
    depth = np.where(joints[..., 2] > 0, joints[..., 2], np.nan)
    pixels = joints[..., :2] / depth[..., None] * (fx, fy) + (cx, cy)
    return pixels, (int(width), int(height))


def _events(folder: Path, frames: np.ndarray, config: H2OConfig) -> tuple[int, ...]:
    """The first row of each phase, by the labels; rows in gaps have none."""
    labels_folder = folder / config.phase_labels
    files = numbered(labels_folder, r"(\d+)\.txt")
    if absent := sorted(set(numbered(folder / "hand_pose", r"(\d+)\.txt")) - set(files)):
        raise InputError(
            f"Expected a label of each frame, but got none of frame {absent[0]} in {labels_folder}. {AGAIN}"
        )
    labels = [int(_numbers(files[frame], 1)[0]) if frame in files else -1 for frame in frames.tolist()]
    events = events_of(labels, config.phase_numbers, str(labels_folder))
    if max(events) < 0:
        raise InputError(
            f"Expected labels of {config.phases}, but got {sorted(set(labels))} in {labels_folder}. Name other phases."
        )
    return events
