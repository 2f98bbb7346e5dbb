"""Pose files of DeepLabCut, SLEAP and LightningPose, through the package movement (neuroinformatics-unit)."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from pipeline.clip import Clip
from pipeline.config import InputError, MissingPackage
from pipeline.datasets.collection import CollectionConfig, Entry, collect, entries, load_each, own_skeleton
from pipeline.datasets.people import clipped
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton


class MovementTracksConfig(CollectionConfig):
    """Which software wrote the files, beside `CollectionConfig`.

    skeleton: its joints are the files' keypoints, by name; the files may have more. individual: the one to take where
    there are several. A keypoint with a position and no score has confidence 1.
    """

    reader: Literal["movement_tracks"] = "movement_tracks"
    source_software: Literal["DeepLabCut", "SLEAP", "LightningPose"]
    skeleton: str
    individual: str | None = None
    fps: float = Field(gt=0, allow_inf_nan=False)
    frame_size: tuple[PositiveInt, PositiveInt] | None = None


def read(config: MovementTracksConfig, dataset: str) -> PoseSequences:
    """Read all files, one sequence each; one that movement cannot read is left out.

    Raises InputError if movement is not installed, and as `collect` does.
    """
    skeleton = own_skeleton(config.root, config.skeleton)
    movement_io = _import_movement()

    def load(entry: Entry) -> Iterator[Clip]:
        joints, confidence = _read_file(movement_io, entry.path, config, skeleton)
        yield replace(entry.clip(joints, confidence, config.fps), frame_size=config.frame_size or (0, 0))

    clips, left_out = load_each(entries(config), load, skeleton)
    return collect(config, clips, left_out, dataset=dataset, skeleton=skeleton, poses="estimated")


def _import_movement() -> ModuleType:
    try:
        return importlib.import_module("movement.io")
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"Expected the package movement, but {error}. Run `pip install -e '.[movement]'`."
        ) from None


def _read_file(
    movement_io: ModuleType, path: Path, config: MovementTracksConfig, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """(T, K, 2) pixels and (T, K) confidence of one individual."""
    try:
        found = movement_io.load_dataset(path, source_software=config.source_software)
        keypoints = [str(name) for name in found.coords["keypoints"].values]
        individuals = [str(name) for name in found.coords["individuals"].values]
        position = found["position"].transpose("time", "individuals", "keypoints", "space").values.astype(np.float64)
        score = found["confidence"].transpose("time", "individuals", "keypoints").values.astype(np.float64)
    except Exception as error:  # movement, pandas and h5py raise whatever a damaged file leads them to
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"Expected a file of {config.source_software}, but got {detail!r} in {path}. Correct 'source_software'."
        ) from None
    if position.shape[3] != 2:
        raise InputError(f"Expected x and y, but got {position.shape[3]} coordinates in {path}. Give 2D poses.")
    if missing := [joint for joint in skeleton.joints if joint not in keypoints]:
        raise InputError(
            f"Expected keypoint {missing[0]!r} of skeleton {skeleton.name!r}, but got {keypoints} in {path}. Name another."
        )
    if config.individual not in individuals and not (config.individual is None and len(individuals) == 1):
        raise InputError(f"Expected one individual, but got {individuals} in {path}. Set 'individual' to one of them.")
    one = individuals.index(config.individual or individuals[0])
    order = [keypoints.index(joint) for joint in skeleton.joints]
    joints, score = position[:, one, order], score[:, one, order]
    confidence = np.where(np.isnan(joints).any(axis=2), 0, np.where(np.isnan(score), 1, clipped(score)))
    return joints, confidence
