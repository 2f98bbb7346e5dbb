"""IKEA ASM (Ben-Shabat et al., WACV 2021): COCO joints of people who assemble furniture, a JSON file for each frame.

`Kallax_Shelf_Drawer/<video>/dev3/` with `pose2d/000000.json` (annotated, about 1 % of the frames), `pose3d/000000.json`
(triangulated) and `predictions/pose2d/<network>/scan_video_000000000000_keypoints.json`. The data set's action labels
come in any order and repeat, so they are no phases of a sequence and are not read (the paper, too, reports neither
progression nor tau here). Shapes: T frames, K joints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import Entry, collect, entries, load_each
from pipeline.datasets.files import below, numbered
from pipeline.datasets.json_file import keypoints, member, read_json
from pipeline.datasets.people import PeopleConfig, Seen, as_people, read_people
from pipeline.datasets.split_file import SplitFileConfig, split_by
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton, load_skeleton

SUBSETS = {"training": "train", "testing": "val"}
SURE = 3  # annotators' confidence: 1 to 3
NUMBER = (int, float)


class IkeaAsmConfig(SplitFileConfig, PeopleConfig):
    """What is read of each video's folder of one camera, which the pattern matches.

    split: the data set's `gt_segments.json`. joints: annotated or predicted (pixels), or 3d. predictions: the folder of
    the predicted ones, which must be COCO's, by Keypoint R-CNN; min_score: of a person in it. person: who is followed
    there. fps: of the videos; the annotations have so much less as they have fewer frames.
    """

    reader: Literal["ikea_asm"] = "ikea_asm"
    pattern: str = r"(?P<name>(?P<action>Kallax_Shelf_Drawer)/(?P<group>\d+)_[^/]+)/dev3"
    joints: Literal["annotated", "predicted", "3d"] = "annotated"
    predictions: str = "keypoint_rcnn_ft_all"
    min_score: float = Field(0.5, ge=0, le=1)
    fps: float = Field(25, gt=0, allow_inf_nan=False)
    frame_size: tuple[PositiveInt, PositiveInt] | None = (1920, 1080)


def read(config: IkeaAsmConfig, dataset: str) -> PoseSequences:
    """Read all videos: (F, 17, 2) pixels, or (F, 17, 3) cm, x right, y up, z towards the camera.

    A video with a damaged file is left out. Raises InputError as `entries` and `collect` do.
    """
    skeleton = load_skeleton("coco_17")
    splits = None
    if config.split:
        path = below(config.root, config.split)
        database = member(read_json(path), "database", dict, str(path))
        splits = {name: _split(video, f"{path}, {name!r}") for name, video in database.items()}

    def wanted(entry: Entry) -> list[Entry]:
        return [entry] if splits is None else split_by(splits, [entry])

    if config.joints == "predicted":

        def load_people(entry: Entry) -> Iterator[Seen]:
            for one in wanted(entry):
                yield one, _people(one.path / "predictions" / "pose2d" / config.predictions, config), config.frame_size

        return read_people(config, dataset, skeleton, load_people, folders=True)

    def load(entry: Entry) -> Iterator[Clip]:
        for one in wanted(entry):
            yield _clip(one, config, skeleton)

    clips, left_out = load_each(entries(config, folders=True), load, skeleton)
    poses = "annotated" if config.joints == "annotated" else "motion_capture"
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses=poses)


def _split(video: object, where: str) -> str:
    subset = member(video, "subset", str, where)
    if subset not in SUBSETS:
        raise InputError(f"Expected a subset of {list(SUBSETS)}, but got {subset!r} in {where}. Copy the file again.")
    return SUBSETS[subset]


def _people(folder: Path, config: IkeaAsmConfig) -> list[tuple[int, object]]:
    frames = []
    for number, path in numbered(folder, r"scan_video_(\d+)_keypoints\.json").items():
        where = str(path)
        people = [
            keypoints(person, "pose_keypoints_2d", 17, where)
            for person in member(read_json(path), "people", list, where)
            if member(person, "score", NUMBER, where) >= config.min_score
        ]
        for table in people:  # the network gives each joint a logit
            table[:, 2] = 1 / (1 + np.exp(-table[:, 2]))
        frames.append((number, as_people(people, 17)))
    return frames


def _clip(entry: Entry, config: IkeaAsmConfig, skeleton: Skeleton) -> Clip:
    """A row for each file: the annotated frames are too few and too irregular to fill the gaps between."""
    folder, read_frame = ("pose3d", _frame_3d) if config.joints == "3d" else ("pose2d", _annotated_frame)
    files = numbered(entry.path / folder, r"(\d+)\.json")
    frames = np.array(list(files))
    table = np.array([read_frame(read_json(path), skeleton, str(path)) for path in files.values()])
    step = np.median(np.diff(frames)) if len(frames) > 1 else 1
    video = entry.path / "images" / "scan_video.avi"
    return entry.clip(
        table[..., :-1],
        table[..., -1],
        float(config.fps / step),
        frame_size=(0, 0) if config.joints == "3d" else config.frame_size or (0, 0),
        video=str(video) if video.is_file() else "",
        video_frames=frames,
        times=frames / config.fps,
    )


def _annotated_frame(content: object, skeleton: Skeleton, where: str) -> np.ndarray:
    """(K, 3) x, y and confidence in [0, 1]."""
    rows = []
    for joint in skeleton.joints:
        found = member(content, joint.replace("_", " "), dict, where)
        rows.append([*member(found, "position", list, where), member(found, "confidence", NUMBER, where) / SURE])
    return _table(rows, (17, 3), where)


def _frame_3d(content: object, skeleton: Skeleton, where: str) -> np.ndarray:
    """(K, 4) x, y, z and confidence in [0, 1]; in the file, the product of the views' scores, and y down, z away."""
    table = _table(member(content, "pose_keypoints_3d", list, where), (68,), where).reshape(17, 4) * (1, -1, -1, 1)
    table[:, 3] = np.minimum(table[:, 3], 1)
    return table


def _table(values: list, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.shape != shape:
        raise InputError(f"Expected {shape} numbers, but got others in {where}. Copy the file again.")
    return table
