"""The alignment network: an encoder and a cross-attention module for each modality, late fusion of several, projection
head (paper Figs. 2 and 5), and its settings.

Shapes: F frames of all sequences together, B sequences, T frames of the longest one, D width.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import Config
from pipeline.models.cross_attention import CrossAttention
from pipeline.models.fusion import Fusion
from pipeline.models.heads import ProjectionHead
from pipeline.models.positions import TemporalPositions
from pipeline.models.pretrained import BackboneConfig, PretrainedImage
from pipeline.models.vivit import SpatialMLP, SpatialTransformer, TemporalTransformer, ViViT


class ModelConfig(Config):
    """The defaults are the paper's network; the switches below `cross_depth` are its ablations (Table 1)."""

    width: int = Field(192, gt=0)
    heads: int = Field(3, gt=0)
    head_width: int = Field(64, gt=0)
    mlp_width: int = Field(768, gt=0)
    patch_px: int = Field(10, gt=0)
    input_px: int | None = Field(None, gt=0)  # frames are shrunk to this side first; None: as they are stored
    spatial_depth: int = Field(4, ge=0)
    temporal_depth: int = Field(4, ge=0)
    cross_depth: int = Field(4, ge=0)
    max_frames: int | None = Field(None, gt=0)  # None: the longest training sequence
    spatial: Literal["transformer", "mlp", "pretrained"] = "transformer"
    backbone: BackboneConfig = BackboneConfig()  # of `spatial: pretrained`
    temporal_transformer: bool = True
    cross_attention: bool = True
    attention: Literal["linear", "softmax"] = "linear"  # of the cross layers
    projection_head: bool = True
    positional_encoding: bool = True
    position_drift: float = Field(1.0, ge=1)  # ours: above 1, training hides the frame number; see TemporalPositions
    centered: bool = False  # ours: subtract each sequence's mean frame token, which tells who is seen and from where
    masks: bool = True  # False: padding takes part, as in CASA's code


class BranchSpec(NamedTuple):
    """What a branch is built from. shape: of a frame of its modality, (C, S, S) for a grid."""

    config: ModelConfig
    shape: tuple[int, ...]


class Sequences(NamedTuple):
    """B sequences on one device: frames of each modality (F, ...), concatenated, and lengths (B,) on the CPU.

    All modalities show the same frames, so that there is one `lengths`.
    """

    frames: tuple[Tensor, ...]
    lengths: Int64[Tensor, " B"]

    @property
    def keep(self) -> Bool[Tensor, "B T"]:
        """True where a padded position holds a frame."""
        return (torch.arange(int(self.lengths.max())) < self.lengths[:, None]).to(self.frames[0].device)


class Branch(nn.Module):
    """One modality: its encoder and its own cross-attention module."""

    def __init__(self, spec: BranchSpec, max_frames: int, load: bool):
        super().__init__()
        config = spec.config
        self.masks = config.masks
        max_frames = config.max_frames or max_frames
        block = {"width": config.width, "heads": config.heads, "head_width": config.head_width}

        def positions() -> TemporalPositions | None:
            return (
                TemporalPositions(max_frames, config.width, config.position_drift)
                if config.positional_encoding
                else None
            )

        spatial = _spatial(spec, load)
        temporal = None
        if config.temporal_transformer:
            temporal = TemporalTransformer(
                positions(), depth=config.temporal_depth, mlp_width=config.mlp_width, **block
            )
        self.encoder = ViViT(spatial, temporal, config.centered, config.input_px)
        self.cross = None
        if config.cross_attention:
            self.cross = CrossAttention(positions(), depth=config.cross_depth, attention=config.attention, **block)

    def forward(self, a: Tensor, b: Tensor, lengths, keep) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """u of two sequences in each other's sight; lengths and keep are those of a and of b."""
        keep = keep if self.masks else (None, None)
        u_a = self.encoder(a, lengths[0], keep[0])
        u_b = u_a if b is a else self.encoder(b, lengths[1], keep[1])
        return (u_a, u_b) if self.cross is None else self.cross(u_a, u_b, lengths, keep)


class AlignmentNetwork(nn.Module):
    """Embeds two sequences in each other's sight: a branch for each modality, in the given order.

    load: read a backbone's pretrained weights; False where a checkpoint is loaded into the network afterwards.
    """

    def __init__(self, specs: Mapping[str, BranchSpec], max_frames: int, load: bool = True):
        super().__init__()
        self.specs, self.max_frames = dict(specs), max_frames
        configs = [spec.config for spec in specs.values()]
        self.masks = all(config.masks for config in configs)
        self.branches = nn.ModuleDict({name: Branch(spec, max_frames, load) for name, spec in specs.items()})
        self.fusion = Fusion([config.width for config in configs]) if len(configs) > 1 else None
        self.width = configs[0].width
        self.head = ProjectionHead(configs[0].width) if configs[0].projection_head else nn.Identity()

    def features(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """u of both sequences, before the projection head."""
        lengths, keep = (a.lengths, b.lengths), (a.keep, b.keep)
        pairs = zip(self.branches.values(), a.frames, b.frames, strict=True)
        u = [branch(of_a, of_b, lengths, keep) for branch, of_a, of_b in pairs]
        u_a, u_b = zip(*u, strict=True)
        return (u_a[0], u_b[0]) if self.fusion is None else (self.fusion(u_a), self.fusion(u_b))

    def self_features(self, a: Sequences) -> Float[Tensor, "B T D"]:
        """u of sequences each paired with itself: what is evaluated (encoded once)."""
        return self.features(a, a)[0]

    def forward(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """z of both sequences, for the loss."""
        u_a, u_b = self.features(a, b)
        return self.head(u_a), self.head(u_b)


def _spatial(spec: BranchSpec, load: bool) -> nn.Module:
    """What makes one vector of each frame."""
    config, shape = spec
    if config.spatial == "mlp":
        return SpatialMLP(
            shape if config.input_px is None else (shape[0], config.input_px, config.input_px), config.width
        )
    num_channels, size_px = shape[0], config.input_px or shape[1]
    if config.spatial == "pretrained":
        return PretrainedImage(config.backbone, num_channels, size_px, config.width, load=load)
    return SpatialTransformer(
        num_channels,
        size_px,
        config.patch_px,
        config.positional_encoding,
        width=config.width,
        depth=config.spatial_depth,
        heads=config.heads,
        head_width=config.head_width,
        mlp_width=config.mlp_width,
    )
