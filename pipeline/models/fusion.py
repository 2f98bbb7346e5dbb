"""Late fusion of modalities (paper section 3.4): concatenate, then one linear layer.

Shapes: B batch, T time, D width.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Fusion(nn.Module):
    """(B, T, D) of each modality -> (B, T, D), D being the width of the first."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.linear = nn.Linear(sum(widths), widths[0])

    def forward(self, features: Sequence[Tensor]) -> Float[Tensor, "B T D"]:
        return self.linear(torch.cat(tuple(features), dim=-1))
