"""Random frames of padded sequences, from torch's global generator.

What is drawn depends on the frames of a sequence and not on how far it is padded, so that one seed gives one loss.

Shapes: B sequences, T time of the longest one, K frames of each.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def random_one(candidates: Bool[Tensor, "*B T"]) -> Int64[Tensor, "*B"]:
    """One of the True positions of each row, each as likely; 0 of a row that has none."""
    count = candidates.sum(dim=-1)
    rank = (torch.rand(count.shape, device=count.device) * count).long()
    return (candidates.cumsum(dim=-1) > rank[..., None]).int().argmax(dim=-1)


def random_frames(keep: Bool[Tensor, "B T"], num: int) -> tuple[Int64[Tensor, "B {num}"], Bool[Tensor, "B {num}"]]:
    """`num` different kept frames of each sequence, in their order; every choice of them is as likely.

    Returns their positions, and whether they are frames: a sequence shorter than `num` gives all it has, then False,
    and there the position is 0, which is a kept frame too.
    """
    free, drawn = keep, []
    for _ in range(num):
        drawn.append(random_one(free))
        free = free.scatter(1, drawn[-1][:, None], False)
    valid = torch.arange(num, device=keep.device) < keep.sum(dim=1, keepdim=True)
    positions = torch.stack(drawn, dim=1).masked_fill(~valid, keep.shape[1])
    return positions.sort(dim=1).values.masked_fill(~valid, 0), valid


def frames_at(x: Float[Tensor, "B T D"], positions: Int64[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """The frames of each sequence that stand at its positions."""
    return torch.take_along_dim(x, positions[..., None], dim=1)
