"""Soft dynamic time warping (Cuturi and Blondel, ICML 2017), batched over pairs of sequences of different lengths.

Shapes: B pairs, N and M time of the two sequences.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

# Log-weight of a cell outside the matrix. Finite, because minus infinity has no gradient; beside any real cell it is 0.
OUTSIDE = -1e30


def soft_dtw(
    costs: Float[Tensor, "B N M"], lengths: tuple[Int64[Tensor, " B"], Int64[Tensor, " B"]], gamma: float
) -> Float[Tensor, " B"]:
    """-gamma log of the sum over all monotone paths of exp(-cost of the path / gamma) (their section 2).

    A path goes from the first cell to that of both last frames by steps (1, 0), (0, 1) and (1, 1), and costs what its
    cells cost. costs: anything finite in the padding behind `lengths`, which has no influence and gets no gradient.
    gamma > 0, in the unit of costs. The result is at most the cost of the cheapest path, to which it goes as gamma goes
    to 0, and may be negative.

    All cells of an anti-diagonal are computed at once, on any device, and differentiated by autograd.
    """
    rows, columns = costs.shape[1:]
    num_diagonals = rows + columns - 1
    # Row i of the padded matrix, read with a stride that is one too short, is shifted by i: columns are anti-diagonals.
    padded = F.pad(-costs / gamma, (0, rows), value=OUTSIDE)
    skewed = padded.flatten(1)[:, : rows * num_diagonals].unflatten(1, (rows, num_diagonals))
    # The two diagonals before, each with a row in front of the first; every path starts at the corner outside.
    last = costs.new_full((len(costs), rows + 1), OUTSIDE)
    before = F.pad(last[:, 1:], (1, 0), value=0)
    diagonals = []
    for cells in skewed.unbind(dim=2):
        arriving = torch.stack([last[:, 1:], last[:, :-1], before[:, :-1]])
        diagonals.append(cells + arriving.logsumexp(dim=0))
        before, last = last, F.pad(diagonals[-1], (1, 0), value=OUTSIDE)
    row, column = lengths[0] - 1, lengths[1] - 1
    return -gamma * torch.stack(diagonals)[row + column, torch.arange(len(costs), device=costs.device), row]
