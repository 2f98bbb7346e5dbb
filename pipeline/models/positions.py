"""Temporal positions, learned or fixed.

Shapes: B batch, T time, D width.
"""

import logging
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

log = logging.getLogger(__name__)

AMPLITUDE = 0.5  # of the initial table; frame tokens are of the order of 1


class TemporalPositions(nn.Module):
    """A learned table of positions, sinusoids at first; a sequence longer than it gets it interpolated over its length.

    drift: 1 numbers the frames 0, 1, 2, ... With drift > 1 a training sequence starts anywhere in the table and its
    frames lie a random 1/drift to drift apart, so that their number tells their order and not the moment they show.
    Without it a network can learn to count frames instead of looking at poses.
    """

    def __init__(self, max_frames: int, width: int, drift: float = 1.0):
        super().__init__()
        self.table = nn.Parameter(AMPLITUDE * sinusoids(max_frames, width))
        self.drift = drift
        self._told = False

    def forward(self, x: Float[Tensor, "B T D"], lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        return x + self.of(lengths)

    def of(self, lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"] | Float[Tensor, "1 T D"]:
        """Positions of sequences padded to the longest; a sequence's own do not depend on the others."""
        longest, max_frames = int(lengths.max()), len(self.table)
        if self.training and self.drift > 1:
            return self._drifting(lengths)
        if longest <= max_frames:
            return self.table[None, :longest]
        if not self._told:
            self._told = True
            log.warning("longest sequence %d > max_frames %d: positions are interpolated", longest, max_frames)
        own = [self._interpolated(length) for length in lengths.clamp_min(max_frames).tolist()]
        return torch.stack([F.pad(table, (0, 0, 0, longest - len(table)))[:longest] for table in own])

    def _interpolated(self, length: int) -> Float[Tensor, "T D"]:
        return F.interpolate(self.table.T[None], size=length, mode="linear", align_corners=True)[0].T

    def _drifting(self, lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        last = len(self.table) - 1
        draws = torch.rand(2, len(lengths), 1)
        step = (self.drift ** (2 * draws[0] - 1)).minimum(last / (lengths[:, None] - 1).clamp_min(1))
        start = draws[1] * (last - step * (lengths[:, None] - 1)).clamp_min(0)
        place = (start + step * torch.arange(int(lengths.max()))).clamp_max(last).to(self.table.device)
        below = place.long().clamp_max(last - 1)
        return torch.lerp(self.table[below], self.table[below + 1], (place - below)[..., None])


class SinePositions(nn.Module):
    """Fixed positions 0, 1, 2, ... as Vaswani et al. (2017) and CASA's code add them: x * sqrt(D) + sinusoids.

    Sines and cosines come in pairs: an odd D is taken as D + 1, whose last cosine is left out.
    """

    def forward(self, x: Float[Tensor, "B T D"], lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        even = x.shape[-1] + x.shape[-1] % 2
        return x * math.sqrt(even) + sinusoids(x.shape[1], even)[:, : x.shape[-1]].to(x.device)


Positions = TemporalPositions | SinePositions


def sinusoids(num_positions: int, width: int) -> Float[Tensor, "T D"]:
    """The fixed encoding of Vaswani et al. (2017), in [-1, 1]: a start from which neighbours in time are neighbours."""
    rates = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(num_positions)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
