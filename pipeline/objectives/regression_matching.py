"""Matching by contrastive regression (paper section 3.3, Eqs. 3 and 4; Kwon et al., 2022).

Shapes: B batch, M original frames, N augmented frames, D width.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor

from pipeline.config import Config


class LossConfig(Config):
    """temperature: lambda of Eq. 3. scale: `casa` multiplies it by D^1.5 as CASA's code does, `literal` does not."""

    temperature: float = Field(0.1, gt=0)
    scale: Literal["casa", "literal"] = "casa"


def match(
    z: Float[Tensor, "B M D"], z_augmented: Float[Tensor, "B N D"], keep: Bool[Tensor, "B M"], config: LossConfig
) -> Float[Tensor, "B M N"]:
    """w_ij: the probability that augmented frame j shows original frame i; sums to 1 over the kept i."""
    width = z.shape[-1]
    temperature = config.temperature * (width**1.5 if config.scale == "casa" else 1.0)
    z, z_augmented = z.float(), z_augmented.float()
    squared = z.square().sum(-1)[:, :, None] + z_augmented.square().sum(-1)[:, None] - 2 * z @ z_augmented.mT
    # The square root has no slope at zero; below this floor two frames count as equal.
    similarity = -squared.clamp_min(1e-6).sqrt() / temperature
    return similarity.masked_fill(~keep[:, :, None], -torch.inf).softmax(dim=1)


def regression_matching_loss(
    z: Float[Tensor, "B M D"],
    z_augmented: Float[Tensor, "B N D"],
    index: Int64[Tensor, "B N"],
    keep: Bool[Tensor, "B M"],
    keep_augmented: Bool[Tensor, "B N"],
    config: LossConfig,
) -> Float[Tensor, ""]:
    """Mean over sequences of the mean squared error, in frames^2, of the expected original index of each augmented frame.

    index: i_gt, the original frame of each augmented frame; anything where keep_augmented is False.
    """
    frames = torch.arange(z.shape[1], device=z.device, dtype=torch.float32)
    predicted = torch.einsum("m,bmn->bn", frames, match(z, z_augmented, keep, config))
    error = (predicted - index).square().masked_fill(~keep_augmented, 0)
    return (error.sum(dim=1) / keep_augmented.sum(dim=1)).mean()
