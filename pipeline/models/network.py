"""The alignment network: encoder, cross-attention module, projection head (paper Fig. 2), and its settings.

Shapes: F frames of all sequences together, B sequences, T frames of the longest one, C channels, S heatmap size, D width.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import Config
from pipeline.models.cross_attention import CrossAttention
from pipeline.models.heads import ProjectionHead
from pipeline.models.positions import TemporalPositions
from pipeline.models.vivit import SpatialMLP, SpatialTransformer, TemporalTransformer, ViViT


class ModelConfig(Config):
    """The defaults are the paper's network; the switches below `cross_depth` are its ablations (Table 1)."""

    width: int = Field(192, gt=0)
    heads: int = Field(3, gt=0)
    head_width: int = Field(64, gt=0)
    mlp_width: int = Field(768, gt=0)
    patch_px: int = Field(10, gt=0)
    spatial_depth: int = Field(4, ge=0)
    temporal_depth: int = Field(4, ge=0)
    cross_depth: int = Field(4, ge=0)
    max_frames: int | None = Field(None, gt=0)  # None: the longest training sequence
    spatial: Literal["transformer", "mlp"] = "transformer"
    temporal_transformer: bool = True
    cross_attention: bool = True
    attention: Literal["linear", "softmax"] = "linear"  # of the cross layers
    projection_head: bool = True
    positional_encoding: bool = True
    position_drift: float = Field(1.0, ge=1)  # ours: above 1, training hides the frame number; see TemporalPositions
    centered: bool = False  # ours: subtract each sequence's mean frame token, which tells who is seen and from where
    masks: bool = True  # False: padding takes part, as in CASA's code


class Sequences(NamedTuple):
    """B sequences on one device: frames (F, C, S, S) uint8, concatenated, and lengths (B,) on the CPU."""

    frames: UInt8[Tensor, "F C S S"]
    lengths: Int64[Tensor, " B"]

    @property
    def keep(self) -> Bool[Tensor, "B T"]:
        """True where a padded position holds a frame."""
        return (torch.arange(int(self.lengths.max())) < self.lengths[:, None]).to(self.frames.device)


class AlignmentNetwork(nn.Module):
    """Embeds two sequences in each other's sight."""

    def __init__(self, config: ModelConfig, num_channels: int, size_px: int, max_frames: int):
        super().__init__()
        self.config = config
        max_frames = config.max_frames or max_frames
        block = {"width": config.width, "heads": config.heads, "head_width": config.head_width}

        def positions() -> TemporalPositions | None:
            return (
                TemporalPositions(max_frames, config.width, config.position_drift)
                if config.positional_encoding
                else None
            )

        if config.spatial == "transformer":
            patches = (num_channels, size_px, config.patch_px, config.positional_encoding)
            spatial = SpatialTransformer(*patches, depth=config.spatial_depth, mlp_width=config.mlp_width, **block)
        else:
            spatial = SpatialMLP(num_channels, size_px, config.width)
        temporal = None
        if config.temporal_transformer:
            temporal = TemporalTransformer(
                positions(), depth=config.temporal_depth, mlp_width=config.mlp_width, **block
            )
        self.encoder = ViViT(spatial, temporal, config.centered)
        self.cross = None
        if config.cross_attention:
            self.cross = CrossAttention(positions(), depth=config.cross_depth, attention=config.attention, **block)
        self.head = ProjectionHead(config.width) if config.projection_head else nn.Identity()

    def features(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """u of both sequences, before the projection head."""
        keep = (self._keep(a), self._keep(b))
        u_a, u_b = self.encoder(a.frames, a.lengths, keep[0]), self.encoder(b.frames, b.lengths, keep[1])
        return (u_a, u_b) if self.cross is None else self.cross(u_a, u_b, (a.lengths, b.lengths), keep)

    def self_features(self, a: Sequences) -> Float[Tensor, "B T D"]:
        """u of sequences each paired with itself: what is evaluated (encoded once)."""
        keep = self._keep(a)
        u = self.encoder(a.frames, a.lengths, keep)
        return u if self.cross is None else self.cross(u, u, (a.lengths, a.lengths), (keep, keep))[0]

    def forward(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """z of both sequences, for the loss."""
        u_a, u_b = self.features(a, b)
        return self.head(u_a), self.head(u_b)

    def _keep(self, sequences: Sequences) -> Bool[Tensor, "B T"] | None:
        return sequences.keep if self.config.masks else None
