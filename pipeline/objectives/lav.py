"""Learning by aligning videos in time (LAV; Haresh et al., CVPR 2021): soft-DTW of two videos and Contrastive-IDM.

The alignment alone is cheapest where all frames are one point; the regularisation keeps frames of a video apart that
are apart in time. Defaults are those of the code released with the paper (trquhuytin/LAV-CVPR21: `losses.py`,
`config.py`).

Shapes: B pairs, T time, D width.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings, View
from pipeline.objectives.parts.distances import prepared, squared_distances
from pipeline.objectives.parts.soft_dtw import soft_dtw


class Settings(ObjectiveSettings):
    """gamma: of soft-DTW, in squared distances. alpha: the weight of the regularisation of both videos.

    window_frames: sigma, how many frames apart in their video those are, at most, that shall be alike. margin: lambda,
    the squared distance from which on far ones are left alone; between unit embeddings there are 0 to 4.
    weights: of a pair of frames. `released` gives far ones 1 + the square of their difference in time in parts of the
    video, at most 2, and near ones 1. `paper` gives far ones 1 + the square of their difference in frames, and near
    ones the inverse of that: by far the larger regularisation, so alpha must be chosen anew.
    normalize_embeddings: to length 1, which is the last layer of the released network.
    """

    name: Literal["lav"] = "lav"
    frames: int | None = Field(20, ge=2)
    gamma: float = Field(0.1, gt=0)
    alpha: float = Field(0.5, ge=0)
    window_frames: float = Field(10, ge=0)
    margin: float = Field(2.0, gt=0)
    weights: Literal["released", "paper"] = "released"
    normalize_embeddings: bool = True


def contrastive_idm(view: View, settings: Settings) -> Float[Tensor, " B"]:
    """Sum over ordered pairs of frames of a video: weighted distance of near ones, weighted lack of it of far ones."""
    distance = squared_distances(view.z, view.z)
    apart = (view.time[:, :, None] - view.time[:, None]).abs()
    if settings.weights == "released":
        near, far = 1.0, 1 + (apart / view.num_frames[:, None, None]).square()
    else:
        far = 1 + apart.square()
        near = 1 / far
    lack = (settings.margin - distance).relu()
    terms = torch.where(apart <= settings.window_frames, near * distance, far * lack)
    return terms.masked_fill(~(view.keep[:, :, None] & view.keep[:, None]), 0).sum(dim=(1, 2))


class Objective(AlignmentObjective):
    """Mean over pairs of (soft-DTW + alpha * Contrastive-IDM of both) / number of frames of a video."""

    pairs = "two_videos"

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        """The videos may be of different lengths, whose mean then is the divisor."""
        a, b = (prepared(view, normalize=self.settings.normalize_embeddings) for view in (a, b))
        lengths = a.keep.sum(dim=1), b.keep.sum(dim=1)
        aligned = soft_dtw(squared_distances(a.z, b.z), lengths, self.settings.gamma)
        regularised = contrastive_idm(a, self.settings) + contrastive_idm(b, self.settings)
        return ((aligned + self.settings.alpha * regularised) * 2 / (lengths[0] + lengths[1])).mean()
