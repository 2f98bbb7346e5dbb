"""Matching by contrastive regression (paper section 3.3, Eqs. 3 and 4; Kwon et al., 2022).

Shapes: B batch, M original frames, N augmented frames, D width.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings, View
from pipeline.objectives.parts.distances import distances, prepared


class Settings(ObjectiveSettings):
    """temperature: lambda of Eq. 3. scale: `casa` multiplies it by D^1.5 as CASA's code does, `literal` does not."""

    name: Literal["regression_matching"] = "regression_matching"
    temperature: float = Field(0.1, gt=0)
    scale: Literal["casa", "literal"] = "casa"


def match(
    z: Float[Tensor, "B M D"], z_augmented: Float[Tensor, "B N D"], keep: Bool[Tensor, "B M"], settings: Settings
) -> Float[Tensor, "B M N"]:
    """w_ij: the probability that augmented frame j shows original frame i; sums to 1 over the kept i."""
    width = z.shape[-1]
    temperature = settings.temperature * (width**1.5 if settings.scale == "casa" else 1.0)
    similarity = -distances(z, z_augmented) / temperature
    return similarity.masked_fill(~keep[:, :, None], -torch.inf).softmax(dim=1)


class Objective(AlignmentObjective):
    """Mean over pairs of the mean squared error, in frames^2, of the expected original frame of each augmented one."""

    pairs = "augmented"

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        """a: every frame of the originals. b: their augmented versions, whose `time` is i_gt."""
        a, b = prepared(a, normalize=False), prepared(b, normalize=False)
        weights = match(a.z, b.z, a.keep, self.settings)
        predicted = torch.einsum("bm,bmn->bn", a.time, weights)
        error = (predicted - b.time).square().masked_fill(~b.keep, 0)
        return (error.sum(dim=1) / b.keep.sum(dim=1)).mean()
