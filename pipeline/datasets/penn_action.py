"""Penn Action (Zhang, Zhu, Derpanis, ICCV 2013): annotated 2D joints from `labels/0001.mat ...`, skeleton `penn_13`."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.io import loadmat

from pipeline.clip import Clip
from pipeline.config import Config, InputError
from pipeline.datasets.events import EventRow, check_rows, read_events
from pipeline.datasets.files import below, without_root
from pipeline.sequence import PoseSequences, from_clips
from pipeline.skeleton import load_skeleton

# The paper's 13 actions, as the label files name them, and the other names that CASA gives to some.
ACTIONS = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing", "jumping_jacks",
    "pushup", "pullup", "situp", "squat", "tennis_forehand", "tennis_serve",
)  # fmt: skip
CASA_NAMES = {"bowling": "bowl", "pushups": "pushup", "pullups": "pullup", "situps": "situp", "squats": "squat"}
UNUSED = ("jump_rope", "strum_guitar")
# Key events by action (Dwibedi et al., CVPR 2019, TCC's labels), for files that call them event1, event2, ...
EVENTS = {
    "baseball_pitch": ("knee_fully_up", "arm_fully_stretched", "ball_release"),
    "baseball_swing": ("bat_fully_back", "bat_hits_ball"),
    "bench_press": ("bar_fully_down",),
    "bowl": ("ball_fully_back", "ball_release"),
    "clean_and_jerk": ("bar_at_hip", "fully_squatting", "standing", "begin_thrusting", "beginning_balance"),
    "golf_swing": ("stick_fully_back", "stick_hits_ball"),
    "jumping_jacks": ("hands_at_shoulders_up", "hands_above_head", "hands_at_shoulders_down"),
    "pullup": ("chin_above_bar",),
    "pushup": ("head_at_floor",),
    "situp": ("abs_fully_crunched",),
    "squat": ("hips_at_knees_down", "hips_at_floor", "hips_at_knees_up"),
    "tennis_forehand": ("racket_fully_back", "racket_touches_ball"),
    "tennis_serve": ("ball_released", "racket_fully_back", "racket_touches_ball"),
}
KEYS = ("action", "x", "y", "visibility", "train", "nframes", "dimensions")


class PennActionConfig(Config):
    """Which videos are read, and with which key events.

    root: the folder that holds `labels/` and, if there is footage, `frames/0001/000001.jpg ...`. actions: the label
    files' or CASA's names; by default those of `events`, or the paper's 13. events: CSV with columns action, video_id,
    event1, ... and, if given, split and n_frames, which are compared with the label files; its path is relative to root.
    labels: who made the events. fps: the paper's value; the data set has none.
    """

    reader: Literal["penn_action"] = "penn_action"
    root: Path
    actions: list[str] | None = Field(None, min_length=1)
    events: Path | None = None
    labels: Literal["derived", "human", "carried"] = "derived"
    fps: float = Field(20, gt=0, allow_inf_nan=False)


def read(config: PennActionConfig, dataset: str) -> PoseSequences:
    """Read all videos of the actions; a video without a row in `events` is left out.

    Raises InputError for a missing folder, an unknown action, a label file that cannot be read or contradicts itself,
    and a row of `events` that contradicts the label files.
    """
    known = (*ACTIONS, *UNUSED, *CASA_NAMES)
    if unknown := set(config.actions or ()) - set(known):
        raise InputError(f"Expected actions of {sorted(known)}, but got {sorted(unknown)} for {dataset!r}. Correct it.")
    events = config.events and below(config.root, config.events)
    rows = _rows(events) if events else {}
    labelled = dict.fromkeys(row.action for row in rows.values())
    actions = [CASA_NAMES.get(name, name) for name in config.actions or labelled or ACTIONS]
    if config.events and (absent := set(actions) - set(labelled)):
        raise InputError(
            f"Expected rows of every action, but got none of {sorted(absent)} in {config.events}. Add some."
        )
    # All 2,326 files are read although the events name some: it takes half a second, and only so are the videos
    # without events known.
    folder = config.root / "labels"
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise InputError(f"Expected label files 0001.mat ..., but there is none in {folder}. Correct 'root'.")
    clips = {path.stem: load_clip(path, config.fps) for path in files}
    rows = {name: row for name, row in rows.items() if row.action in actions}
    check_rows(rows, {name: len(clip.joints) for name, clip in clips.items()}, folder)
    clips |= {name: _with_events(clips[name], row) for name, row in rows.items()}
    wanted = [clip for clip in clips.values() if clip.action in actions]
    no_row = without_root(config.root, f"no row in {config.events}")
    left_out = {clip.name: no_row for clip in wanted if config.events and clip.name not in rows}
    return from_clips(
        (clip for clip in wanted if clip.name not in left_out),
        dataset=dataset,
        skeleton=load_skeleton("penn_13"),
        event_names={row.action: _event_names(row) for row in rows.values()},
        poses="annotated",
        labels=config.labels,
        left_out=left_out,
    )


def _rows(path: Path) -> dict[str, EventRow]:
    # Spreadsheets drop the zeros that lead a video's number.
    rows = read_events(path, ["video_id"], "action")
    return {name.zfill(4): replace(row, action=CASA_NAMES.get(row.action, row.action)) for name, row in rows.items()}


def _event_names(row: EventRow) -> tuple[str, ...]:
    numbered = tuple(f"event{number}" for number in range(1, 1 + len(row.event_names)))
    known = EVENTS.get(row.action, ())
    return known if row.event_names == numbered and len(known) == len(numbered) else row.event_names


def _with_events(clip: Clip, row: EventRow) -> Clip:
    for found, given in ((clip.action, row.action), (clip.split, row.split or clip.split)):
        if found != given:
            raise InputError(f"Expected {found!r} as in {clip.source}, but got {given!r} in {row.where}. Correct it.")
    return replace(clip, events=row.events, source=f"{clip.source}, events of {row.where}")


def load_clip(path: Path, fps: float) -> Clip:
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
        num_frames, train, action = int(mat["nframes"].item()), int(mat["train"].item()), str(mat["action"].item())
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected Penn Action's types, but got {error} in {path}. Copy the file again.") from None
    if not (x.shape == y.shape == visibility.shape == (num_frames, 13)):
        raise InputError(
            f"Expected x, y and visibility ({num_frames}, 13) since nframes is {num_frames}, but got {x.shape},"
            f" {y.shape} and {visibility.shape} in {path}. Copy the file again."
        )
    if train not in (1, -1):
        raise InputError(f"Expected train 1 or -1, but got {train} in {path}. Copy the file again.")
    return Clip(
        name=path.stem,
        action=action,
        split="train" if train == 1 else "val",
        joints=np.stack([x, y], axis=2) - 1,
        confidence=visibility,
        fps=fps,
        frame_size=(width, height),
        source=str(path),
        video=str(frames) if (frames := path.parents[1] / "frames" / path.stem).is_dir() else "",
    )
