"""ST-GCN (Yan et al., AAAI 2018): convolution over the limbs of a frame, then over time for each joint.

Shapes: F frames of all sequences together, B sequences, T frames of the longest one, K joints, d axes, C and E
channels, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path
from torch import Tensor, nn

KERNEL_FRAMES = 9


def partitions(limbs: Sequence[tuple[int, int]], num_joints: int) -> Float[Tensor, "3 K K"]:
    """[part, from, to]: a joint, its neighbours nearer to the body's centre, and the others ("spatial configuration").

    A joint and its neighbours weigh alike and sum to one, as in the released code; the paper makes each part sum to
    one. The centre is the joint with the fewest limbs between it and all that it is joined to, where the paper takes
    the mean place of the joints in the data and the code names one; two hands have two.
    """
    a, b = np.array(limbs).T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(num_joints, num_joints))
    hops = shortest_path(graph.tocsr(), directed=False, unweighted=True)
    joined = np.isfinite(hops)
    total = np.where(joined, hops, 0).sum(axis=1)
    centre = np.where(joined, total, np.inf).argmin(axis=1)
    distance = hops[np.arange(num_joints), centre]
    nearer = (hops == 1) & (distance[:, None] < distance)
    parts = np.stack([hops == 0, nearer, (hops == 1) & ~nearer])
    return torch.from_numpy(parts / parts.sum(axis=(0, 1))).float()


class GraphUnit(nn.Module):
    """Graph convolution, then convolution over time; both normalised over the real frames of a batch."""

    def __init__(self, channels: int, new_channels: int, num_joints: int, residual: bool):
        super().__init__()
        self.importance = nn.Parameter(torch.ones(3, num_joints, num_joints))  # of each limb, each way
        self.graph = nn.Linear(channels, 3 * new_channels)
        self.norm_graph = nn.BatchNorm1d(new_channels)
        self.time = nn.Conv2d(new_channels, new_channels, (KERNEL_FRAMES, 1), padding="same")
        self.norm_time = nn.BatchNorm1d(new_channels)
        self.residual = None
        if residual:
            self.residual = nn.Identity()
            if channels != new_channels:
                self.residual = nn.Sequential(nn.Linear(channels, new_channels), Joints(nn.BatchNorm1d(new_channels)))

    def forward(
        self, x: Float[Tensor, "F K C"], parts: Float[Tensor, "3 K K"], keep: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "F K E"]:
        y = self.graph(x).unflatten(-1, (3, -1))
        y = torch.einsum("fkpc,pkj->fjc", y, parts * self.importance)
        y = self.norm_graph(y.flatten(0, 1)).relu().view_as(y)
        # Zeros lie behind the end of a sequence as before its beginning, whatever it is padded to.
        padded = y.new_zeros(*keep.shape, *y.shape[1:])
        padded[keep] = y
        y = self.time(padded.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[keep]
        y = self.norm_time(y.flatten(0, 1)).view_as(y)
        return (y if self.residual is None else y + self.residual(x)).relu()


class Joints(nn.Module):
    """A layer of (F * K, C) applied to (F, K, C)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Float[Tensor, "F K C"]) -> Float[Tensor, "F K C"]:
        return self.layer(x.flatten(0, 1)).view_as(x)


class GraphConvolution(nn.Module):
    """Coordinates of joints -> `depth` units of D/4, D/2, then D channels -> mean over joints: one vector a frame.

    Depth 9 at width 256 is the paper's, and 10 the released code's. No stride, since every frame is embedded, and no
    dropout, as nowhere in this network. The first unit has no residual, as in the code. In training, batch
    normalisation lets the sequences of a batch see each other's mean and variance.
    """

    def __init__(self, shape: tuple[int, int], limbs: Sequence[tuple[int, int]], width: int, depth: int):
        super().__init__()
        num_joints, num_axes = shape
        self.register_buffer("parts", partitions(limbs, num_joints), persistent=False)
        self.norm = nn.BatchNorm1d(num_joints * num_axes)
        stages = [max(3 * i // depth, i + 3 - depth) for i in range(depth)]
        channels = [num_axes, *(width // 2 ** (2 - stage) for stage in stages)]
        self.units = nn.ModuleList(
            GraphUnit(channels[i], channels[i + 1], num_joints, residual=i > 0) for i in range(depth)
        )

    def forward(self, x: Float[Tensor, "F K d"], lengths: Int64[Tensor, " B"]) -> Float[Tensor, "F D"]:
        keep = (torch.arange(int(lengths.max())) < lengths[:, None]).to(x.device)
        x = self.norm(x.flatten(1)).view_as(x)
        for unit in self.units:
            x = unit(x, self.parts, keep)
        return x.mean(dim=1)
