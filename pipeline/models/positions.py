"""Learned temporal positions.

Shapes: B batch, T time, D width.
"""

import logging

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

log = logging.getLogger(__name__)


class TemporalPositions(nn.Module):
    """A learned table of max_frames positions; a longer sequence gets the table interpolated over its length."""

    def __init__(self, max_frames: int, width: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_frames, width) * 0.02)
        self._told = False

    def forward(self, lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"] | Float[Tensor, "1 T D"]:
        """Positions of sequences padded to the longest; a sequence's own do not depend on the others."""
        longest, max_frames = int(lengths.max()), len(self.table)
        if longest <= max_frames:
            return self.table[None, :longest]
        if not self._told:
            self._told = True
            log.warning("longest sequence %d > max_frames %d: positions are interpolated", longest, max_frames)
        return torch.stack(
            [F.pad(self._of(length), (0, 0, 0, longest - length)) for length in lengths.clamp_min(max_frames).tolist()]
        )

    def _of(self, length: int) -> Float[Tensor, "T D"]:
        return F.interpolate(self.table.T[None], size=length, mode="linear", align_corners=True)[0].T
