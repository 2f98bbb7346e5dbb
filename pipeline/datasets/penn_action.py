"""Penn Action (Zhang, Zhu, Derpanis, ICCV 2013): annotated 2D joints from `labels/0001.mat ...`, skeleton `penn_13`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.io import loadmat

from pipeline.config import Config, InputError
from pipeline.datasets.events import EventRow, check_rows, read_events
from pipeline.sequence import Clip, PoseSequences, Split, from_clips
from pipeline.skeleton import load_skeleton

# The paper's 13 actions, as the label files name them, and the other names that CASA gives to some.
ACTIONS = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing", "jumping_jacks",
    "pushup", "pullup", "situp", "squat", "tennis_forehand", "tennis_serve",
)  # fmt: skip
CASA_NAMES = {"bowling": "bowl", "pushups": "pushup", "pullups": "pullup", "situps": "situp", "squats": "squat"}
UNUSED = ("jump_rope", "strum_guitar")
KEYS = ("action", "x", "y", "visibility", "train", "nframes", "dimensions")


class PennActionConfig(Config):
    """Which videos are read, and with which key events.

    root: the folder that holds `labels/`. actions: the label files' or CASA's names; by default those of `events`, or
    the paper's 13. events: CSV with columns action, video_id, event1, ... and, if given, split and n_frames, which are
    compared with the label files. labels: who made the events. fps: the paper's value; the data set has none.
    """

    reader: Literal["penn_action"] = "penn_action"
    root: Path
    actions: list[str] | None = Field(None, min_length=1)
    events: Path | None = None
    labels: Literal["derived", "human"] = "derived"
    fps: float = Field(20, gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Video:
    """One label file. joints (T, 13, 2) 0-based pixels, y down; confidence (T, 13), the visibility, 0 or 1."""

    name: str
    path: Path
    action: str
    split: Split
    joints: np.ndarray
    confidence: np.ndarray
    frame_size: tuple[int, int]


def read(config: PennActionConfig, dataset: str) -> PoseSequences:
    """Read all videos of the actions; a video without a row in `events` is left out.

    Raises InputError for a missing folder, an unknown action, a label file that cannot be read or contradicts itself,
    and a row of `events` that contradicts the label files.
    """
    known = (*ACTIONS, *UNUSED, *CASA_NAMES)
    if unknown := set(config.actions or ()) - set(known):
        raise InputError(f"Expected actions of {sorted(known)}, but got {sorted(unknown)} for {dataset!r}. Correct it.")
    rows = _rows(config.events) if config.events else {}
    if config.actions:
        actions = [CASA_NAMES.get(action, action) for action in config.actions]
    else:
        actions = list(dict.fromkeys(_label_name(row) for row in rows.values())) or list(ACTIONS)
    rows = {name: row for name, row in rows.items() if _label_name(row) in actions}
    videos = [video for video in _videos(config.root / "labels") if video.action in actions]
    check_rows(rows, {video.name: len(video.joints) for video in videos}, config.root / "labels")
    left_out = {video.name: f"no row in {config.events}" for video in videos if config.events and video.name not in rows}
    return from_clips(
        [_clip(video, rows.get(video.name), config) for video in videos if video.name not in left_out],
        dataset=dataset,
        skeleton=load_skeleton("penn_13"),
        event_names={_label_name(row): row.event_names for row in rows.values()},
        poses="annotated",
        labels=config.labels,
        left_out=left_out,
    )


def _rows(path: Path) -> dict[str, EventRow]:
    # Spreadsheets drop the zeros that lead a video's number.
    return {name.zfill(4): row for name, row in read_events(path, ["video_id"], "action").items()}


def _label_name(row: EventRow) -> str:
    return CASA_NAMES.get(row.action, row.action)


def _clip(video: Video, row: EventRow | None, config: PennActionConfig) -> Clip:
    if row:
        for key, found, given in (
            ("action", video.action, _label_name(row)),
            ("split", video.split, row.split or video.split),
        ):
            if found != given:
                raise InputError(
                    f"Expected {key} {found!r} as in {video.path}, but got {given!r} in {row.where}. Correct it."
                )
    return Clip(
        name=video.name,
        action=video.action,
        split=video.split,
        joints=video.joints,
        confidence=video.confidence,
        fps=config.fps,
        events=row.events if row else (),
        frame_size=video.frame_size,
        source=f"{video.path}, events of {row.where}" if row else str(video.path),
    )


def _videos(folder: Path) -> list[Video]:
    # All 2,326 files are read, although the events name some: that takes half a second, and only so are the videos
    # without events known.
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise InputError(f"Expected label files 0001.mat ..., but there is none in {folder}. Correct 'root'.")
    return [load_video(path) for path in files]


def load_video(path: Path) -> Video:
    """Read one label file. MATLAB counts pixels from 1; the joints returned count from 0."""
    try:
        mat = loadmat(path)
    except Exception as error:  # scipy's reader raises whatever the damaged bytes lead it to
        detail = " ".join(str(error).split())
        raise InputError(f"Expected a MATLAB file, but got {detail!r} in {path}. Copy the file again.") from None
    if missing := [key for key in KEYS if key not in mat]:
        raise InputError(f"Expected keys {list(KEYS)}, but {missing[0]!r} is missing in {path}. Copy the file again.")
    try:
        x, y, visibility = (np.asarray(mat[key], dtype=np.float64) for key in ("x", "y", "visibility"))
        height, width = (int(size) for size in mat["dimensions"].ravel()[:2])
        num_frames, train = int(mat["nframes"].item()), int(mat["train"].item())
        action = str(mat["action"].item())
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected Penn Action's types, but got {error} in {path}. Copy the file again.") from None
    if not (x.shape == y.shape == visibility.shape == (num_frames, 13)):
        raise InputError(
            f"Expected x, y and visibility of shape ({num_frames}, 13) as nframes is {num_frames}, but got {x.shape},"
            f" {y.shape} and {visibility.shape} in {path}. Copy the file again."
        )
    if train not in (1, -1):
        raise InputError(f"Expected train 1 or -1, but got {train} in {path}. Copy the file again.")
    return Video(
        name=path.stem,
        path=path,
        action=action,
        split="train" if train == 1 else "val",
        joints=np.stack([x, y], axis=2) - 1,
        confidence=visibility,
        frame_size=(width, height),
    )
