"""ST-TR's spatial self-attention (Plizzari et al., 2021): the joints of a frame attend to each other.

Shapes: F frames, K joints, d axes, D width.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.models.attention import softmax_attention


class JointAttention(nn.Module):
    """One layer: attention over all joints, whether limbs join them or not, with a skip connection; then ReLU.

    ST-TR normalises over the batch before and after; here each joint is normalised by itself, as everywhere in this
    network, so that a frame's features are its own.
    """

    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * head_width)
        self.out = nn.Linear(heads * head_width, width)
        self.norm_out = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "F K D"]) -> Float[Tensor, "F K D"]:
        frames, joints, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(frames, joints, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = softmax_attention(q, k, v, None).transpose(1, 2).flatten(2)
        return self.norm_out(x + self.out(attended)).relu()


class GraphTransformer(nn.Module):
    """Coordinates of joints, each a token -> `depth` layers -> mean over joints: one vector a frame.

    names: each joint adds a vector of its own, or nothing would tell a hand from a foot. ST-TR has that from the graph
    convolutions below it and from a normalisation for each joint.
    """

    def __init__(self, shape: tuple[int, int], names: bool, *, width: int, depth: int, heads: int, head_width: int):
        super().__init__()
        num_joints, num_axes = shape
        self.num_tokens = math.ceil(num_joints * depth / 4 * width / 192)
        self.embed = nn.Linear(num_axes, width)
        self.names = nn.Parameter(torch.randn(num_joints, width) * 0.02) if names else None
        self.layers = nn.ModuleList(JointAttention(width, heads, head_width) for _ in range(depth))

    def forward(self, x: Float[Tensor, "F K d"]) -> Float[Tensor, "F D"]:
        tokens = self.embed(x)
        if self.names is not None:
            tokens = tokens + self.names
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.mean(dim=1)
