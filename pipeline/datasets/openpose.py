"""OpenPose (Cao et al., 2019): a folder per video of `<video>_000000000000_keypoints.json`, as `--write_json` makes it.

Coordinates are taken as they are, so OpenPose has to run with the default `--keypoint_scale 0`, pixels of the source.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from pipeline.config import InputError
from pipeline.datasets.collection import Entry
from pipeline.datasets.json_file import keypoints, member, number_in, read_json
from pipeline.datasets.people import PeopleConfig, Seen, as_people, read_people
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton, load_skeleton

BODY_25 = load_skeleton("body_25").joints
COCO_18 = tuple(joint for joint in BODY_25[:19] if joint != "mid_hip")
MODELS = {3 * len(joints): joints for joints in (BODY_25, COCO_18)}  # by how many numbers a person has


class OpenPoseConfig(PeopleConfig):
    """Which joints are read: BODY_25's; COCO's 17, from either body model, without the neck; or both hands'.

    The pattern matches folders.
    """

    reader: Literal["openpose"] = "openpose"
    skeleton: Literal["body_25", "coco_17", "hands_42"] = "body_25"


def read(config: OpenPoseConfig, dataset: str) -> PoseSequences:
    """Read all folders, one row per frame; a folder with a damaged file is left out. Raises InputError as `read_people`."""
    skeleton = load_skeleton(config.skeleton)
    person = _hands if config.skeleton == "hands_42" else _body

    def load(entry: Entry) -> Iterator[Seen]:
        frames = []
        for path in sorted(entry.path.glob("*_keypoints.json")):
            people = member(read_json(path), "people", list, str(path))
            number = number_in(path.name, r"(\d+)_keypoints\.json$", entry.path)
            frames.append(
                (number, as_people([person(one, skeleton, str(path)) for one in people], skeleton.num_joints))
            )
        yield entry, frames, config.frame_size or (0, 0)

    return read_people(config, dataset, skeleton, load, folders=True)


def _body(person: object, skeleton: Skeleton, where: str) -> np.ndarray:
    key = "pose_keypoints_2d"
    num_values = len(member(person, key, list, where))
    if num_values not in MODELS:
        raise InputError(
            f"Expected {' or '.join(map(str, MODELS))} numbers {key!r}, but got {num_values} in {where}."
            " Run OpenPose with --model_pose BODY_25 or COCO."
        )
    model = MODELS[num_values]
    if not set(skeleton.joints) <= set(model):
        raise InputError(
            f"Expected {3 * skeleton.num_joints} numbers {key!r} for skeleton {skeleton.name!r}, but got {num_values},"
            f" the COCO model's, in {where}. Set skeleton: coco_17."
        )
    return keypoints(person, key, len(model), where)[[model.index(joint) for joint in skeleton.joints]]


def _hands(person: object, skeleton: Skeleton, where: str) -> np.ndarray:
    keys = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
    if any(member(person, key, list, where) == [] for key in keys):
        raise InputError(f"Expected keypoints of both hands, but got none in {where}. Run OpenPose with --hand.")
    return np.concatenate([keypoints(person, key, skeleton.num_joints // 2, where) for key in keys])
