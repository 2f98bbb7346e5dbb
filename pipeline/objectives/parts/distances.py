"""What objectives over two videos start from: views without what stands in their padding, and distances between frames.

Shapes: B pairs, T and S time of two sequences, D width.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pipeline.objectives.base import View


def prepared(view: View, *, normalize: bool) -> View:
    """The view with zeros in the padding of z and time, so that nothing there, NaN included, reaches loss or gradient.

    normalize: embeddings of length 1 (one that is zero stays zero). z becomes at least float32, as mixed precision is
    too coarse for differences of squares.
    """
    z = view.z.masked_fill(~view.keep[..., None], 0)
    z = z.float() if z.itemsize < 4 else z
    return view._replace(z=F.normalize(z, dim=-1) if normalize else z, time=view.time.masked_fill(~view.keep, 0))


def squared_distances(x: Float[Tensor, "*B T D"], y: Float[Tensor, "*B S D"]) -> Float[Tensor, "*B T S"]:
    """Squared Euclidean distances, as one matrix product; never negative."""
    return (x.square().sum(-1)[..., None] + y.square().sum(-1)[..., None, :] - 2 * x @ y.mT).clamp_min(0)


def distances(x: Float[Tensor, "*B T D"], y: Float[Tensor, "*B S D"]) -> Float[Tensor, "*B T S"]:
    """Euclidean distances, not squared; at least 1e-3."""
    # The square root has no slope at zero; below this floor two frames count as equal.
    return squared_distances(x, y).clamp_min(1e-6).sqrt()
