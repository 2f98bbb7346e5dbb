"""MediaPipe landmarks kept by the user: npz or npy arrays of normalised x y z visibility, or JSON dumps.

Shapes: T frames, K landmarks. MediaPipe's 0 and 1 are the edges of the frame; its z, which has no common scale with x
and y in pixels, is dropped.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.datasets.json_file import AGAIN, member, read_json, typed
from pipeline.datasets.tracks import load_arrays, to_pixels
from pipeline.sequence import PoseSequences


class MediaPipeTracksConfig(CollectionConfig):
    """What is in the files, beside `CollectionConfig`.

    npz: one array (T, K, 4) x y z visibility, or (T, K, 3) without, for each sequence, which the key names; npy: one.
    json: a list of frames, alone or as member frames; each is a list of landmarks, alone or as member landmarks,
    empty or null where nobody was found; each landmark has members x, y and, as wanted, z and visibility.
    A landmark of zeros, or with NaN, is missing. frame_size: (width, height) in pixels.
    """

    reader: Literal["mediapipe_tracks"] = "mediapipe_tracks"
    skeleton: str = "mediapipe_33"
    fps: float = Field(gt=0, allow_inf_nan=False)
    frame_size: tuple[PositiveInt, PositiveInt]


def read(config: MediaPipeTracksConfig, dataset: str) -> PoseSequences:
    """Read all sequences; confidence is the visibility, or 1. A file that holds something else is left out.

    Raises InputError as `collect` does.
    """
    skeleton = own_skeleton(config.root, config.skeleton)

    def load(entry: Entry) -> Iterator[Clip]:
        if entry.path.suffix == ".json":
            arrays = {entry.name: _read_frames(entry.path, skeleton.num_joints)}
        else:
            arrays = load_arrays(entry.path)
        for name, array in arrays.items():
            where = f"{entry.path}, array {name!r}"
            if array.ndim != 3 or array.shape[1] != skeleton.num_joints or array.shape[2] not in (3, 4):
                expected = f"(T, {skeleton.num_joints}, 3 or 4) landmarks for skeleton {skeleton.name!r}"
                raise InputError(f"Expected {expected}, but got {array.shape} in {where}. Name another skeleton.")
            if array.dtype.kind not in "fiu":
                raise InputError(f"Expected numbers, but got {array.dtype} in {where}. {AGAIN}")
            missing = np.isnan(array).any(axis=2) | (array[..., :3] == 0).all(axis=2)
            confidence = np.where(missing, 0, array[..., 3] if array.shape[2] == 4 else 1)
            clip = entry.clip(to_pixels(array[..., :2].astype(np.float64), config.frame_size), confidence, config.fps)
            name = name if entry.path.suffix == ".npz" else entry.name
            yield replace(clip, name=name, frame_size=config.frame_size)

    clips, left_out = load_each(entries(config), load, skeleton)
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses="estimated")


def _read_frames(path: Path, num_joints: int) -> np.ndarray:
    """(T, K, 4) x y z visibility from a JSON dump, NaN in frames without landmarks."""
    content = read_json(path)
    frames = content if isinstance(content, list) else member(content, "frames", list, str(path))
    found = np.full((len(frames), num_joints, 4), np.nan)
    for row, frame in enumerate(frames):
        where = f"{path}, frame {row}"
        landmarks = frame.get("landmarks") if isinstance(frame, dict) else frame
        if not landmarks:
            continue
        if len(typed(landmarks, list, "landmarks", where)) != num_joints:
            raise InputError(
                f"Expected {num_joints} landmarks, but got {len(landmarks)} in {where}. Name the skeleton of the file."
            )
        for joint, landmark in enumerate(landmarks):
            whole = {"z": 0, "visibility": 1} | typed(landmark, dict, "a landmark", where)
            found[row, joint] = [member(whole, key, int | float, where) for key in ("x", "y", "z", "visibility")]
    return found
