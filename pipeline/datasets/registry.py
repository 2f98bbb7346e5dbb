"""The readers by name: from a `source` entry of params.yaml to pose sequences."""

from collections.abc import Iterator

from pydantic import ValidationError

from pipeline.config import Config, InputError, reason
from pipeline.datasets import (
    bvh,
    c3d,
    casa,
    coco_keypoints,
    h2o,
    ikea_asm,
    joints3d,
    mediapipe_tracks,
    movement_tracks,
    openpifpaf_json,
    openpose,
    penn_action,
    studio,
    tracks,
    trc,
    videos,
)
from pipeline.extraction import Run
from pipeline.sequence import PoseSequences

READERS = {
    "bvh": (bvh.BvhConfig, bvh.read),
    "c3d": (c3d.C3dConfig, c3d.read),
    "casa": (casa.CasaConfig, casa.read),
    "coco_keypoints": (coco_keypoints.CocoKeypointsConfig, coco_keypoints.read),
    "h2o": (h2o.H2OConfig, h2o.read),
    "ikea_asm": (ikea_asm.IkeaAsmConfig, ikea_asm.read),
    "joints3d": (joints3d.Joints3DConfig, joints3d.read),
    "mediapipe_tracks": (mediapipe_tracks.MediaPipeTracksConfig, mediapipe_tracks.read),
    "movement_tracks": (movement_tracks.MovementTracksConfig, movement_tracks.read),
    "openpifpaf_json": (openpifpaf_json.OpenPifPafJsonConfig, openpifpaf_json.read),
    "openpose": (openpose.OpenPoseConfig, openpose.read),
    "penn_action": (penn_action.PennActionConfig, penn_action.read),
    "studio": (studio.StudioConfig, studio.read),
    "tracks": (tracks.TracksConfig, tracks.read),
    "trc": (trc.TrcConfig, trc.read),
    "videos": (videos.VideosConfig, videos.read),
}


def parse_source(entry: dict, where: str) -> Config:
    """The settings of the reader that `entry["reader"]` names.

    Raises InputError, in which `where` names the entry, for an unknown reader and a wrong, missing or unknown setting.
    """
    name = entry.get("reader")
    if name not in list(READERS):
        raise InputError(f"Expected a reader of {list(READERS)}, but got {name!r} in {where}. Correct 'reader'.")
    try:
        return READERS[name][0].model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(_setting(entry, first["loc"])) or "the whole"
        raise InputError(
            f"Expected settings of reader {name!r}, but {key} is wrong in {where}: {reason(first)}"
        ) from None


def _setting(node: object, loc: tuple[str | int, ...]) -> Iterator[str]:
    """The levels of a wrong setting, without what pydantic puts between them for one of several types."""
    for part in loc:
        if not isinstance(node, dict | list):
            return
        if isinstance(node, list) or part != node.get("name"):  # what tells the estimators apart
            yield str(part)
            node = (node if isinstance(node, dict) else dict(enumerate(node))).get(part)


def read_source(config: Config, dataset: str, run: Run) -> PoseSequences:
    """Read the data set that `config`, made by `parse_source`, describes; `dataset` is its name in params.yaml.

    run: how videos are estimated. With `run.strict`, raises InputError if any sequence had to be left out.
    """
    more = {"run": run} if isinstance(config, videos.VideosConfig) else {}
    sequences = READERS[config.reader][1](config, dataset, **more)
    if run.strict and sequences.left_out:
        name, reason = next(iter(sequences.left_out.items()))
        raise InputError(
            f"Expected to leave nothing out (--strict), but got {len(sequences.left_out)} of {dataset!r}; the first,"
            f" {name}: {reason}"
        )
    return sequences
