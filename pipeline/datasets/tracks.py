"""2D tracks of one person in plain arrays or tables: npz, npy and CSV.

Shapes: T frames of a sequence, F frames of a file, N sequences, K joints.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.datasets.events import check_columns, frame_of, read_lines
from pipeline.datasets.people import frame_rows
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

CONFIDENCE = ("confidence", "likelihood", "score", "visibility")  # what tools call it
POSITIONS = ("joints", "positions")


class TracksConfig(CollectionConfig):
    """What is in the files, beside `CollectionConfig`.

    npz: one array (T, K, 2), or (T, K, 3) with confidence, for each sequence, which the key names; or keys joints or
    positions (F, K, 2 or 3), and as wanted confidence (F, K), offsets (N + 1) with names (N); either may have fps.
    npy: one array.
    csv: one row per frame with columns <joint>_x, <joint>_y and, as wanted, <joint>_confidence (or likelihood, score,
    visibility) and frame; or one row per joint with columns frame, joint, x, y and, as wanted, confidence and track.
    A joint without numbers, or NaN, is missing, and so are all joints of a frame without a row. Frames count from 0.

    fps: of the video whose frames are counted, here or in the npz; where only every n-th frame has rows, the poses have
    an n-th of it. normalised: x and y are 0 and 1 at the edges of the frame, whose frame_size (width, height) in pixels
    is given. track: the one to take where there are several.
    """

    reader: Literal["tracks"] = "tracks"
    skeleton: str
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    frame_size: tuple[PositiveInt, PositiveInt] | None = None
    normalised: bool = False
    track: str | None = None
    poses: Literal["annotated", "estimated"] = "estimated"

    @model_validator(mode="after")
    def _has_frame_size(self) -> "TracksConfig":
        if self.normalised and self.frame_size is None:
            raise ValueError("normalised coordinates need frame_size")
        return self


@dataclass(frozen=True)
class _Track:
    """joints: (T, K, 2). confidence: (T, K). frames: (T,) numbers of these, or None. name: "" for the file's.
    fps: None if the file does not tell; step: frames between two rows."""

    joints: np.ndarray
    confidence: np.ndarray
    name: str = ""
    fps: float | None = None
    frames: np.ndarray | None = None
    step: int = 1


def read(config: TracksConfig, dataset: str) -> PoseSequences:
    """Read all sequences. A file that does not hold what the settings say is left out; InputError as `collect` does."""
    skeleton = own_skeleton(config.root, config.skeleton)

    def load(entry: Entry) -> Iterator[Clip]:
        read_file = _read_csv if entry.path.suffix == ".csv" else _read_arrays
        for track in read_file(entry.path, config, skeleton):
            joints = to_pixels(track.joints, config.frame_size) if config.normalised else track.joints
            confidence = np.where(np.isnan(joints).any(axis=2), 0, track.confidence)
            if (fps := config.fps or track.fps) is None:
                raise InputError(f"Expected a frame rate, but there is none in {entry.path}. Set 'fps'.")
            clip = entry.clip(joints, confidence, fps / track.step, name=track.name)
            times = None if track.frames is None else track.frames / fps
            yield replace(clip, frame_size=config.frame_size or (0, 0), video_frames=track.frames, times=times)

    clips, left_out = load_each(entries(config), load, skeleton)
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses=config.poses)


def to_pixels(normalised: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
    """Coordinates that are 0 and 1 at the frame's edges, in pixels whose centres are whole numbers."""
    return normalised * np.array(frame_size) - 0.5


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file by key, or that of an npy file by the file's name. Nothing pickled is loaded.

    Raises InputError for a file that is damaged, of another kind, larger than the memory, or holds pickled objects.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {path.stem: loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, TypeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        detail = " ".join(str(error).split())
        raise InputError(
            f"Expected plain arrays in an npz or npy file, but got {detail!r} in {path}."
            " Write the file again without pickled objects."
        ) from None


def _read_arrays(path: Path, config: TracksConfig, skeleton: Skeleton) -> Iterator[_Track]:
    arrays = load_arrays(path)
    of_many = path.suffix == ".npz"
    fps = arrays.pop("fps", np.array(np.nan)) if of_many else np.array(np.nan)
    if fps.size != 1 or fps.dtype.kind not in "fiu":
        raise InputError(f"Expected one fps, but got {fps.shape} of {fps.dtype} in {path}. Set 'fps'.")
    rate = None if np.isnan(fps.item()) else float(fps.item())
    positions = [key for key in POSITIONS if key in arrays and of_many]
    if not positions:
        for name, array in arrays.items():
            track = _split(array, skeleton, f"{path}, array {name!r}")
            yield replace(track, name=name if of_many else "", fps=rate)
        return
    where = f"{path}, array {positions[0]!r}"
    whole = _split(arrays[positions[0]], skeleton, where)
    if "confidence" in arrays and arrays[positions[0]].shape[2] == 3:
        raise InputError(
            f"Expected x and y beside confidence, but got x y z in {where}. Read 3D with reader: joints3d."
        )
    confidence = arrays.get("confidence", whole.confidence)
    offsets = arrays.get("offsets", np.array([0, len(whole.joints)]))
    names = arrays.get("names", np.array([""]))
    for key, array, fits in (
        (
            "confidence (F, K)",
            confidence,
            confidence.shape == whole.confidence.shape and confidence.dtype.kind in "fiu",
        ),
        ("names (N)", names, names.ndim == 1 and ("offsets" in arrays) == ("names" in arrays)),
        ("offsets (N + 1)", offsets, offsets.shape == (names.size + 1,) and offsets.dtype.kind in "iu"),
    ):
        if not fits:
            raise InputError(f"Expected {key}, but got {array.shape} of {array.dtype} in {path}. Correct it.")
    if offsets[0] != 0 or offsets[-1] != len(whole.joints) or (np.diff(offsets) < 0).any():
        raise InputError(
            f"Expected offsets that rise from 0 to {len(whole.joints)}, but got others in {path}. Correct them."
        )
    for name, start, stop in zip(names, offsets[:-1], offsets[1:], strict=True):
        yield _Track(whole.joints[start:stop], confidence[start:stop], str(name), rate)


def _split(array: np.ndarray, skeleton: Skeleton, where: str) -> _Track:
    if array.ndim != 3 or array.shape[1] != skeleton.num_joints or array.shape[2] not in (2, 3):
        expected = f"(T, {skeleton.num_joints}, 2 or 3) for skeleton {skeleton.name!r}"
        raise InputError(f"Expected {expected}, but got {array.shape} in {where}. Name another skeleton.")
    if array.dtype.kind not in "fiu":
        raise InputError(f"Expected numbers, but got {array.dtype} in {where}. Write the file again.")
    confidence = array[..., 2] if array.shape[2] == 3 else np.ones(array.shape[:2])
    return _Track(array[..., :2].astype(np.float64), confidence)


def _read_csv(path: Path, config: TracksConfig, skeleton: Skeleton) -> Iterator[_Track]:
    columns, lines = read_lines(path)
    tall = "joint" in columns
    coordinates = ["x", "y"] if tall else [f"{joint}_{axis}" for joint in skeleton.joints for axis in "xy"]
    check_columns([*(["frame"] if tall else []), *coordinates], columns, path)
    if tall and "track" in columns:
        lines = _of_track(lines, config.track, path)
    points: dict[tuple[int, str], list[float]] = {}
    for row, (where, cells) in enumerate(lines):
        frame = frame_of(cells["frame"], "frame", where) if "frame" in columns else row
        if frame is None:
            raise InputError(f"Expected the number of a frame, but got none in {where}. Give it.")
        for joint in [cells["joint"]] if tall else skeleton.joints:
            if joint not in skeleton.joints:
                expected = f"a joint of skeleton {skeleton.name!r}"
                raise InputError(f"Expected {expected}, but got {joint!r} in {where}. Name the skeleton of the file.")
            if (frame, joint) in points:
                raise InputError(f"Expected each joint once, but got {joint!r} of frame {frame} in {where}, too.")
            points[frame, joint] = _point(cells, "" if tall else f"{joint}_", where)
    frames, step = frame_rows({frame for frame, _ in points}, path)
    table = np.full((len(frames), skeleton.num_joints, 3), np.nan)
    for (frame, joint), point in points.items():
        table[(frame - frames[0]) // step, skeleton.joints.index(joint)] = point
    yield _Track(table[..., :2], table[..., 2], frames=frames, step=step)


def _of_track(lines: list, wanted: str | None, path: Path) -> list:
    tracks = list(dict.fromkeys(cells["track"] for _, cells in lines))
    if wanted not in tracks and not (wanted is None and len(tracks) == 1):
        raise InputError(f"Expected one track, but got {tracks} in {path}. Set 'track' to one of them.")
    return [(where, cells) for where, cells in lines if cells["track"] == (wanted or tracks[0])]


def _point(cells: dict[str, str], prefix: str, where: str) -> list[float]:
    """x, y and confidence, which is 1 where no column tells; NaN for an empty cell."""
    scored = [prefix + name for name in CONFIDENCE if prefix + name in cells][:1]
    numbers = []
    for column in (prefix + "x", prefix + "y", *scored):
        try:
            numbers.append(float(cells[column].strip() or "nan"))
        except ValueError:
            raise InputError(
                f"Expected a number, or nothing, but got {cells[column]!r} in column {column!r} of {where}. Correct it."
            ) from None
    return numbers if scored else [*numbers, 1.0]
