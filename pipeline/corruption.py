"""Poses made worse, to see what trained networks make of them (paper Tables 3 and 4).

Shapes: F frames, K joints.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline.config import Config, InputError
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.stores import Paths
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import PoseSequences, read_sequences, write_sequences
from pipeline.skeleton import Skeleton


class Corruption(Config):
    """missing: the probability that a frame lacks the joints of one limb chain beyond its first, drawn anew for each frame
    among the chains that are no part of another: on hands a finger but its root, on bodies an arm or a leg.

    noise: standard deviation of Gaussian noise on every coordinate of every joint and frame, as a share of the body's size:
    the median over a sequence of the diagonal of the box around the visible joints.
    """

    missing: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.0, ge=0)
    seed: int = Field(0, ge=0)

    @property
    def changes_nothing(self) -> bool:
        return not (self.missing or self.noise)

    def __str__(self) -> str:
        told = []
        if self.missing:
            told.append(f"each frame lacks a limb, on hands a finger, with probability {self.missing:g}")
        if self.noise:
            told.append(f"Gaussian noise of {self.noise:g} of the body's size on every joint")
        return " and ".join(told) or "as they are"


def corrupt(sequences: PoseSequences, how: Corruption) -> PoseSequences:
    """The same sequences, 2D or 3D, with joints missing and moved. Raises InputError for a skeleton without chains."""
    rng = np.random.default_rng(how.seed)
    joints, confidence = sequences.joints.copy(), sequences.confidence.copy()
    if how.noise:
        for start, stop in pairwise(sequences.offsets):
            size = _body_size(joints[start:stop], confidence[start:stop] > 0)
            joints[start:stop] += rng.normal(0, how.noise * size, joints[start:stop].shape).astype(np.float32)
    if how.missing:
        limbs = _whole_chains(sequences.skeleton)
        for frame in np.flatnonzero(rng.random(len(joints)) < how.missing):
            confidence[frame, limbs[rng.integers(len(limbs))][1:]] = 0
    joints[confidence == 0] = 0
    return replace(sequences, joints=joints, confidence=confidence)


def write_corrupted(paths: Paths, folder: Path, how: Corruption, to_2d: ProjectConfig, render: RenderConfig) -> Paths:
    """The stores of a data set with its poses, as they were extracted, made worse; in `folder`. Without pictures."""
    made = Paths(*(folder / name for name in ("poses", "heatmaps", "frames", "extracted")))
    write_sequences(corrupt(read_sequences(paths.extracted), how), made.extracted)
    write_sequences(project(read_sequences(made.extracted), to_2d), made.poses, {"extracted": made.extracted})
    write_heatmaps(read_sequences(made.poses), made.poses, made.heatmaps, render)
    return made


def _body_size(joints: np.ndarray, seen: np.ndarray) -> float:
    low = np.where(seen[..., None], joints, np.inf).min(axis=1)
    high = np.where(seen[..., None], joints, -np.inf).max(axis=1)
    return float(np.median(np.linalg.norm(high - low, axis=1)[seen.any(axis=1)]))


def _whole_chains(skeleton: Skeleton) -> list[list[int]]:
    if not skeleton.chains:
        raise InputError(f"Expected a skeleton with limb chains, but {skeleton.name!r} has none. Add `chains` to it.")
    chains = list(skeleton.chains.values())
    return [list(chain) for chain in chains if not any(set(chain) < set(other) for other in chains)]
