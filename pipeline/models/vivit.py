"""The self-attention encoder: ViViT's factorised encoder over frames (paper section 3.3, Arnab et al., 2021).

Shapes: F frames of all sequences together, B sequences, T frames of the longest one, C channels, S heatmap size,
P patches, D width.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.config import InputError
from pipeline.models.attention import Block
from pipeline.models.graph_convolution import GraphConvolution
from pipeline.models.patches import embed_patches, scaled
from pipeline.models.positions import Positions

# What the spatial transformer keeps for the backward pass is about 80 kB a token and 4 blocks of width 192, which is what
# `num_tokens` counts in: beyond TOKENS in one call it goes through the frames block by block, and computes each block
# again on the way back.
TOKENS = 65_536
TOKENS_PER_BLOCK = 16_384


def pad(x: Float[Tensor, "F D"], lengths: Int64[Tensor, " B"]) -> Float[Tensor, "B T D"]:
    """Lay concatenated sequences side by side, zeros behind the shorter ones."""
    return nn.utils.rnn.pad_sequence(list(x.split(lengths.tolist())), batch_first=True)


class SpatialTransformer(nn.Module):
    """Patches of one frame -> tokens -> transformer -> mean: one vector a frame."""

    def __init__(
        self,
        num_channels: int,
        size_px: int,
        patch_px: int,
        positions: bool,
        *,
        width: int,
        depth: int,
        heads: int,
        head_width: int,
        mlp_width: int,
    ):
        super().__init__()
        if size_px % patch_px:
            raise InputError(
                f"Expected frames of a size that patch_px divides, but got {size_px} and {patch_px} in params.yaml. Change one."
            )
        self.patch_px = patch_px
        patches = (size_px // patch_px) ** 2
        self.num_tokens = math.ceil(patches * depth / 4 * width / 192)
        self.embed = nn.Linear(num_channels * patch_px**2, width)
        self.positions = nn.Parameter(torch.randn(patches, width) * 0.02) if positions else None
        self.blocks = nn.ModuleList(Block(width, heads, head_width, mlp_width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Shaped[Tensor, "F C S S"]) -> Float[Tensor, "F D"]:
        tokens = embed_patches(x, self.patch_px, self.embed)
        if self.positions is not None:
            tokens = tokens + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).mean(dim=1)


class SpatialMLP(nn.Module):
    """The ablation "without spatial transformer": an MLP over the flattened frame."""

    num_tokens = 1

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        self.embed = nn.Linear(math.prod(shape), width)
        self.mlp = nn.Sequential(nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Shaped[Tensor, "F ..."]) -> Float[Tensor, "F D"]:
        return self.mlp(
            embed_patches(x, x.shape[-1], self.embed).squeeze(1) if x.ndim == 4 else self.embed(x.flatten(1))
        )


class Flat(nn.Module):
    """The numbers of a frame as they are: CASA's tokens."""

    num_tokens = 0  # nothing to keep for the backward pass

    def forward(self, x: Shaped[Tensor, "F ..."]) -> Float[Tensor, "F D"]:
        return scaled(x).flatten(1)


class TemporalTransformer(nn.Module):
    """Frame vectors of a sequence attend to each other."""

    def __init__(
        self,
        positions: Positions | None,
        *,
        width: int,
        depth: int,
        heads: int,
        head_width: int,
        mlp_width: int,
    ):
        super().__init__()
        self.positions = positions
        self.blocks = nn.ModuleList(Block(width, heads, head_width, mlp_width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B T D"], lengths: Int64[Tensor, " B"], keep) -> Float[Tensor, "B T D"]:
        if self.positions is not None:
            x = self.positions(x, lengths)
        for block in self.blocks:
            x = block(x, keep)
        return self.norm(x)


class ViViT(nn.Module):
    """Concatenated frames of B sequences -> (B, T, D), padded; only real frames pass the spatial part.

    Frames are (F, C, S, S) uint8, or (F, ...) floats as they are. The spatial part sees them one by one; that of ST-GCN,
    which is one over time as well, sequence by sequence. input_px: the side to which a grid is shrunk first.
    """

    def __init__(self, spatial: nn.Module, temporal: TemporalTransformer | None, centered: bool, input_px: int | None):
        super().__init__()
        self.spatial, self.temporal, self.centered, self.input_px = spatial, temporal, centered, input_px

    def forward(self, frames: Tensor, lengths: Int64[Tensor, " B"], keep) -> Float[Tensor, "B T D"]:
        tokens = self._tokens(frames, lengths)
        if self.centered:
            tokens = torch.cat([own - own.mean(dim=0) for own in tokens.split(lengths.tolist())])
        x = pad(tokens, lengths)
        return x if self.temporal is None else self.temporal(x, lengths, keep)

    def _tokens(self, frames: Tensor, lengths: Int64[Tensor, " B"]) -> Float[Tensor, "F D"]:
        if isinstance(self.spatial, GraphConvolution):
            return self.spatial(frames, lengths)
        if len(frames) * self.spatial.num_tokens <= TOKENS:
            return self._frame_tokens(frames)
        blocks = frames.split(max(1, TOKENS_PER_BLOCK // self.spatial.num_tokens))
        return torch.cat([checkpoint(self._frame_tokens, block, use_reentrant=False) for block in blocks])

    def _frame_tokens(self, frames: Tensor) -> Float[Tensor, "F D"]:
        if self.input_px and self.input_px != frames.shape[-1]:
            frames = F.interpolate(scaled(frames), self.input_px, mode="area")
        return self.spatial(frames)
