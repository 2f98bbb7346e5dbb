"""Attention over token sequences, with padding masks.

Shapes: B batch, T tokens of the queries, S tokens of the keys, H heads, E width of a head, D width.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def linear_attention(
    q: Float[Tensor, "B H T E"],
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    keep: Bool[Tensor, "B S"] | None,
) -> Float[Tensor, "B H T E"]:
    """Attention with the feature map elu(x) + 1 (Katharopoulos et al., 2020), linear in T and S."""
    q, k = F.elu(q) + 1, F.elu(k) + 1
    if keep is not None:
        k = k * keep[:, None, :, None]
    summary = torch.einsum("bhse,bhsf->bhef", k, v)
    total = torch.einsum("bhte,bhe->bht", q, k.sum(dim=2))
    return torch.einsum("bhte,bhef->bhtf", q, summary) / (total[..., None] + 1e-6)


def softmax_attention(
    q: Float[Tensor, "B H T E"],
    k: Float[Tensor, "B H S E"],
    v: Float[Tensor, "B H S E"],
    keep: Bool[Tensor, "B S"] | None,
) -> Float[Tensor, "B H T E"]:
    """Scaled dot-product attention."""
    return F.scaled_dot_product_attention(q, k, v, None if keep is None else keep[:, None, None])


class Block(nn.Module):
    """Pre-norm transformer block: self-attention, then a GELU MLP (ViT)."""

    def __init__(self, width: int, heads: int, head_width: int, mlp_width: int):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(), nn.Linear(mlp_width, width))

    def forward(self, x: Float[Tensor, "B T D"], keep: Bool[Tensor, "B T"] | None = None) -> Float[Tensor, "B T D"]:
        batch, tokens, _ = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = softmax_attention(qkv[0], qkv[1], qkv[2], keep)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, tokens, -1))
        return x + self.mlp(self.norm_mlp(x))
