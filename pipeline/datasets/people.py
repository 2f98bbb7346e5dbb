"""Formats that hold all people of each numbered frame of a video: from those to one followed person.

Shapes: T frames of a sequence, K joints.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import Field, PositiveInt

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each
from pipeline.detections import gather
from pipeline.estimators.base import People
from pipeline.person import PersonConfig, Track, follow
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton

OVERSHOOT = 2  # the peak of an estimator's heatmap may exceed 1; beyond this, the confidences have another scale
SPARSE = 10  # times more frames than files: the numbers do not count frames

Frames = list[tuple[int, People]]  # frames by their number, in any order
Seen = tuple[Entry, Frames, tuple[int, int]]  # a sequence before anybody is followed, and the frames' (width, height)


class PeopleConfig(CollectionConfig):
    """What formats with several people in a frame have in common.

    fps: of the video whose frames are numbered; where only every n-th number is there, the poses have an n-th of it.
    Numbers missing in between are frames with nobody. first_frame: the number of the video's first frame. frame_size:
    (width, height) in pixels, where the files do not tell. person: who is followed.
    """

    fps: float = Field(gt=0, allow_inf_nan=False)
    first_frame: int = Field(0, ge=0)
    frame_size: tuple[PositiveInt, PositiveInt] | None = None
    person: PersonConfig = PersonConfig()


def as_people(persons: list[np.ndarray], num_joints: int) -> People:
    """The people of a frame from (K, 3) x, y and confidence of each."""
    table = np.array(persons, dtype=np.float32).reshape(-1, num_joints, 3)
    return People(table[..., :2], clipped(table[..., 2]))


def clipped(confidence: np.ndarray) -> np.ndarray:
    """Confidences with those that are a little above 1 set to 1; what is far above stays, and is an error later."""
    return np.where(confidence <= OVERSHOOT, np.minimum(confidence, 1), confidence)


def frame_rows(numbers: Collection[int], where: Path) -> tuple[np.ndarray, int]:
    """(T,) int64 the frames from the first number to the last, and the step between them, the largest that meets all.

    Raises InputError for a number that comes twice, and for numbers that cannot be those of a video's frames.
    """
    found = sorted(numbers)
    if not found:
        raise InputError(f"Expected frames, but there is none in {where}. Write it again, or correct 'pattern'.")
    if twice := [b for a, b in pairwise(found) if a == b]:
        raise InputError(f"Expected each frame once, but got frame {twice[0]} twice in {where}. Remove one.")
    step = math.gcd(*(number - found[0] for number in found)) or 1
    if found[-1] >= 2**31 or (found[-1] - found[0]) // step >= SPARSE * len(found):
        raise InputError(
            f"Expected numbers of frames, but got {len(found)} from {found[0]} to {found[-1]} in {where}."
            " Number the frames as in their video."
        )
    return np.arange(found[0], found[-1] + 1, step), step


def read_people(
    config: PeopleConfig,
    dataset: str,
    skeleton: Skeleton,
    load: Callable[[Entry], Iterable[Seen]],
    *,
    folders: bool = False,
    poses: str = "estimated",
) -> PoseSequences:
    """Follow one person through each sequence that `load` finds in a file or folder, and collect them.

    What cannot be read is left out. Raises InputError as `entries` and `collect` do.
    """
    tracks: dict[str, Track] = {}

    def clips_in(entry: Entry) -> Iterator[Clip]:
        for found, frames, frame_size in load(entry):
            numbers, step = frame_rows([number for number, _ in frames], found.path)
            if numbers[0] < config.first_frame:
                raise InputError(
                    f"Expected frames numbered from {config.first_frame}, but got {numbers[0]} in {found.path}."
                    " Set 'first_frame'."
                )
            people, nobody = dict(frames), as_people([], skeleton.num_joints)
            detections = gather([people.get(number, nobody) for number in numbers.tolist()], skeleton.num_joints)
            track = tracks[found.name] = follow(detections, config.fps / step, frame_size, config.person)
            clip = found.clip(track.joints, track.confidence, config.fps / step)
            video_frames = numbers - config.first_frame
            yield replace(clip, frame_size=frame_size, video_frames=video_frames, times=video_frames / config.fps)

    clips, left_out = load_each(entries(config, folders), clips_in, skeleton)
    kept = [tracks[clip.name] for clip in clips]
    num_frames = sum(len(track.joints) for track in kept)
    provenance = {
        "frames with nobody": f"{sum(track.num_frames_without for track in kept)} of {num_frames}",
        "frames with several people": str(sum(int((track.num_people > 1).sum()) for track in kept)),
        "joints bridged": f"{sum(t.num_bridged_joints for t in kept)} of {num_frames * skeleton.num_joints}",
    }
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses=poses, provenance=provenance)
