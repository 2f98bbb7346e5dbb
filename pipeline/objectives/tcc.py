"""Temporal cycle consistency (TCC; Dwibedi et al., CVPR 2019, section 3).

A frame of one video finds its soft nearest neighbour in the other, and that one's is looked for in the first again: the
cycle should end where it began. What is left open by the paper follows the code released with it, in `tcc/tcc` of
google-research: its defaults are ours.

Shapes: B pairs, T time of the video in which a cycle starts, S of the other, D width.
"""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings, View
from pipeline.objectives.parts.distances import prepared, squared_distances

# A cycle that ends in one frame for certain has no variance, and the released loss is infinite; this is a standard
# deviation of a tenth of a frame in a video of a thousand.
SMALLEST_VARIANCE = 1e-8


class Settings(ObjectiveSettings):
    """What a cycle is and how its end is judged.

    cycle: cycle-back `regression` of the time at which it began, or cycle-back `classification` of its first frame.
    variance_aware: divide the squared error of the regression by the variance of the end, and add variance_lambda times
    the logarithm of that variance. The paper prints the logarithm of the standard deviation: its lambda is twice ours.
    label_smoothing: of the classification. normalize_indices: times are in parts of the video rather than in frames.
    similarity: `l2`, minus the squared distance, or `cosine`, as the released code calls the inner product, which is a
    cosine with normalize_embeddings. scale: `released` divides it by temperature * D, `literal` by temperature alone;
    the paper prints neither, which is `literal` with temperature 1.
    starts: cycles a video, as a share of the frames of the longest, each from a frame drawn with replacement (the
    released stochastic matching); null: one from every frame.
    """

    name: Literal["tcc"] = "tcc"
    frames: int | None = Field(20, ge=2)
    cycle: Literal["regression", "classification"] = "regression"
    variance_aware: bool = True
    variance_lambda: float = Field(0.001, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    normalize_indices: bool = True
    similarity: Literal["l2", "cosine"] = "l2"
    normalize_embeddings: bool = False
    temperature: float = Field(0.1, gt=0)
    scale: Literal["released", "literal"] = "released"
    starts: float | None = Field(None, gt=0)


def similarities(
    x: Float[Tensor, "B T D"], y: Float[Tensor, "B S D"], keep: Bool[Tensor, "B S"], settings: Settings
) -> Float[Tensor, "B T S"]:
    """Of every x to every kept y, before the soft-max; minus infinity to the others."""
    divisor = settings.temperature * (x.shape[-1] if settings.scale == "released" else 1)
    similarity = x @ y.mT if settings.similarity == "cosine" else -squared_distances(x, y)
    return (similarity / divisor).masked_fill(~keep[:, None], -torch.inf)


def cycle_ends(start: View, other: View, settings: Settings) -> Float[Tensor, "B T T"]:
    """Log-probability of ending in each frame of `start` (last axis), by the frame in which the cycle began."""
    weights = similarities(start.z, other.z, other.keep, settings).softmax(dim=-1)
    return similarities(weights @ other.z, start.z, start.keep, settings).log_softmax(dim=-1)


def regression(log_ends: Float[Tensor, "B T T"], view: View, settings: Settings) -> Float[Tensor, "B T"]:
    """How far the expected time of the end is from the time of the start, squared; over the variance, if so set."""
    time = view.time / view.num_frames[:, None] if settings.normalize_indices else view.time
    ends = log_ends.exp()
    expected = torch.einsum("bij,bj->bi", ends, time)
    squared_error = (expected - time).square()
    if not settings.variance_aware:
        return squared_error
    variance = (ends * (time[:, None] - expected[:, :, None]).square()).sum(dim=-1).clamp_min(SMALLEST_VARIANCE)
    return squared_error / variance + settings.variance_lambda * variance.log()


def classification(log_ends: Float[Tensor, "B T T"], view: View, settings: Settings) -> Float[Tensor, "B T"]:
    """Cross-entropy of the end, whose class is the start, with label_smoothing spread over all kept frames alike."""
    log_ends = log_ends.masked_fill(~view.keep[:, None], 0)
    at_start = log_ends.diagonal(dim1=1, dim2=2)
    over_all = log_ends.sum(dim=-1) / view.keep.sum(dim=1, keepdim=True)
    return -(1 - settings.label_smoothing) * at_start - settings.label_smoothing * over_all


class Objective(AlignmentObjective):
    """Mean over pairs of the mean over the two directions of the mean over cycles."""

    pairs = "two_videos"

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        a, b = (prepared(view, normalize=self.settings.normalize_embeddings) for view in (a, b))
        return (self._cycle(a, b) + self._cycle(b, a)) / 2

    def _cycle(self, start: View, other: View) -> Float[Tensor, ""]:
        judge = {"regression": regression, "classification": classification}[self.settings.cycle]
        error = judge(cycle_ends(start, other, self.settings), start, self.settings)
        if self.settings.starts is not None:
            num_cycles = math.ceil(self.settings.starts * error.shape[1])
            return error.gather(1, torch.multinomial(start.keep.float(), num_cycles, replacement=True)).mean()
        return (error.masked_fill(~start.keep, 0).sum(dim=1) / start.keep.sum(dim=1)).mean()
