"""openpifpaf (Kreiss, Bertoni, Alahi) as its commands write: JSON lines of a video, or a JSON file beside each image.

Coordinates are pixels whose centres are whole numbers, as ours are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.datasets.collection import Entry, own_skeleton
from pipeline.datasets.json_file import keypoints, member, number_in, parse_json, read_bytes, read_json, typed
from pipeline.datasets.people import PeopleConfig, Seen, as_people, read_people
from pipeline.sequence import PoseSequences

IMAGE_NUMBER = r"(\d+)(?:\.[^.]+)?\.predictions\.json$"


class OpenPifPafJsonConfig(PeopleConfig):
    """What wrote the files.

    layout: video, files of `openpifpaf.video --json-output`, a line per frame; images, folders (which the pattern then
    matches) of `openpifpaf.predict --json-output`, files `<image>.predictions.json`. skeleton: of the checkpoint's joints.
    first_frame: openpifpaf.video counts from 1.
    """

    reader: Literal["openpifpaf_json"] = "openpifpaf_json"
    layout: Literal["video", "images"] = "video"
    skeleton: str = "coco_17"
    first_frame: int = Field(1, ge=0)


def read(config: OpenPifPafJsonConfig, dataset: str) -> PoseSequences:
    """Read all videos, one row per frame; one with a damaged file is left out. Raises InputError as `read_people`."""
    skeleton = own_skeleton(config.root, config.skeleton)
    read_frames = _of_video if config.layout == "video" else _of_images

    def load(entry: Entry) -> Iterator[Seen]:
        frames = []
        for number, predictions, where in read_frames(entry.path):
            # A checkpoint may find objects, too; these have a box and no keypoints.
            poses = [one for one in predictions if not (isinstance(one, dict) and "keypoints" not in one)]
            persons = [keypoints(one, "keypoints", skeleton.num_joints, where) for one in poses]
            frames.append((number, as_people(persons, skeleton.num_joints)))
        yield entry, frames, config.frame_size or (0, 0)

    return read_people(config, dataset, skeleton, load, folders=config.layout == "images")


def _of_video(path: Path) -> Iterator[tuple[int, list, str]]:
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        where = f"{path}, line {number}"
        content = parse_json(line, where)
        yield member(content, "frame", int, where), member(content, "predictions", list, where), where


def _of_images(folder: Path) -> Iterator[tuple[int, list, str]]:
    for path in sorted(folder.glob("*.predictions.json")):
        predictions = typed(read_json(path), list, "predictions", str(path))
        yield number_in(path.name, IMAGE_NUMBER, folder), predictions, str(path)
