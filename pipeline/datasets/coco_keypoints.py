"""COCO keypoints (Lin et al., ECCV 2014): annotations, or results beside the JSON of the images they are of.

An image's file name tells its sequence and frame. Coordinates are taken as they are: COCO counts pixels from 0.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from pipeline.config import InputError
from pipeline.datasets.collection import Entry, own_skeleton
from pipeline.datasets.files import below
from pipeline.datasets.json_file import keypoints, member, read_json, typed
from pipeline.datasets.people import PeopleConfig, Seen, as_people, read_people
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton


class CocoKeypointsConfig(PeopleConfig):
    """Which joints of which category, and how images are grouped.

    frame_pattern: regular expression that an image's file name matches as a whole; its groups are sequence, frame and,
    where wanted, group (performer, recording). images: for files of results, a list, the JSON with `images` and
    `categories`, below root. category: its keypoints are the skeleton's joints, in any order.
    poses: annotated, the third value of a joint is its visibility: 0 missing, 1 (labelled but hidden)
    occluded_confidence, 2 confidence 1; estimated, the third value is the confidence.
    """

    reader: Literal["coco_keypoints"] = "coco_keypoints"
    skeleton: str = "coco_17"
    frame_pattern: str = r"(?P<sequence>.+)/[^/]*?(?P<frame>\d+)\.\w+"
    images: Path | None = None
    category: str = "person"
    poses: Literal["annotated", "estimated"] = "annotated"
    occluded_confidence: float = Field(1, ge=0, le=1)

    @field_validator("frame_pattern")
    @classmethod
    def _has_groups(cls, pattern: str) -> str:
        try:
            named = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        if not {"sequence", "frame"} <= set(named):
            raise ValueError("give groups (?P<sequence>...) and (?P<frame>...)")
        return pattern


def read(config: CocoKeypointsConfig, dataset: str) -> PoseSequences:
    """Read all files: one row per image, and per image missing between two; a damaged file is left out.

    Raises InputError as `read_people` does.
    """
    skeleton = own_skeleton(config.root, config.skeleton)

    def load(entry: Entry) -> Iterator[Seen]:
        content, source = read_json(entry.path), str(entry.path)
        if config.images:
            about, place = read_json(below(config.root, config.images)), str(config.images)
            annotations = typed(content, list, "results", source)
        else:
            about, place, annotations = content, source, member(content, "annotations", list, source)
        images = {member(image, "id", int | str, place): image for image in member(about, "images", list, place)}
        category, order = _category(about, config.category, skeleton, place)
        persons = defaultdict(list)
        for annotation in annotations:
            image = member(annotation, "image_id", int | str, source)
            if image not in images:
                raise InputError(f"Expected an image in {place}, but got image_id {image!r} in {source}. Correct it.")
            if member(annotation, "category_id", int, source) == category and "keypoints" in annotation:
                where = f"{source}, image {images[image].get('file_name')}"
                found = keypoints(annotation, "keypoints", skeleton.num_joints, where)[order]
                persons[image].append(_with_confidence(found, config, where))
        sequences = defaultdict(list)
        for key, image in images.items():
            match = _match(member(image, "file_name", str, place), config.frame_pattern, place)
            sequences[match["sequence"]].append((match, image, as_people(persons[key], skeleton.num_joints)))
        for name, frames in sequences.items():
            first, image, _ = frames[0]
            found = replace(entry, name=name, group=first.groupdict().get("group") or entry.group)
            yield found, [(int(match["frame"]), people) for match, _, people in frames], _size(image, config)

    return read_people(config, dataset, skeleton, load, poses=config.poses)


def _category(about: object, name: str, skeleton: Skeleton, where: str) -> tuple[int, list[int]]:
    """The id of the category, and where in its keypoints the skeleton's joints are."""
    categories = member(about, "categories", list, where)
    names = [member(category, "name", str, where) for category in categories]
    if name not in names:
        raise InputError(f"Expected category {name!r}, but got {names} in {where}. Set 'category'.")
    category = categories[names.index(name)]
    joints = [str(joint) for joint in member(category, "keypoints", list, where)]
    if len(joints) != skeleton.num_joints or set(joints) != set(skeleton.joints):
        raise InputError(
            f"Expected the joints of skeleton {skeleton.name!r}, {list(skeleton.joints)}, but got {joints} in {where}."
            " Name the skeleton that the file has."
        )
    return member(category, "id", int, where), [joints.index(joint) for joint in skeleton.joints]


def _with_confidence(found: np.ndarray, config: CocoKeypointsConfig, where: str) -> np.ndarray:
    if config.poses == "estimated":
        return found
    visibility = found[:, 2]
    if wrong := sorted(set(visibility) - {0, 1, 2}):
        raise InputError(
            f"Expected visibility 0, 1 or 2, but got {wrong[0]} in {where}. Set poses: estimated if it is a confidence."
        )
    confidence = np.array([0, config.occluded_confidence, 1])[visibility.astype(int)]
    return np.column_stack([found[:, :2], confidence])


def _match(file_name: str, pattern: str, where: str) -> re.Match:
    match = re.fullmatch(pattern, file_name)
    if not (match and match["frame"].isdecimal()):
        raise InputError(
            f"Expected file names with a sequence and a frame, but got {file_name!r} in {where}. Correct 'frame_pattern'."
        )
    return match


def _size(image: dict, config: CocoKeypointsConfig) -> tuple[int, int]:
    size = (image.get("width"), image.get("height"))
    return size if all(isinstance(side, int) for side in size) else config.frame_size or (0, 0)
