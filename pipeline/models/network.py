"""The alignment network: an encoder and a cross-attention module for each modality, late fusion of several, projection
head (paper Figs. 2 and 5).

Shapes: F frames of all sequences together, B sequences, T frames of the longest one, D width.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from pipeline.config import InputError
from pipeline.models.config import GRAPHS, GRIDS, BranchSpec, ModelConfig, sized
from pipeline.models.cross_attention import CrossAttention
from pipeline.models.fusion import Fusion
from pipeline.models.graph_convolution import GraphConvolution
from pipeline.models.graph_transformer import GraphTransformer
from pipeline.models.heads import ProjectionHead
from pipeline.models.positions import Positions, SinePositions, TemporalPositions
from pipeline.models.pretrained import PretrainedImage
from pipeline.models.vivit import Flat, SpatialMLP, SpatialTransformer, TemporalTransformer, ViViT


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
    """One modality: its encoder and its own cross-attention module. spec: as `sized` gives it."""

    def __init__(self, spec: BranchSpec, max_frames: int, load: bool):
        super().__init__()
        config = spec.config
        self.masks = config.masks
        max_frames = config.max_frames or max_frames
        block = {"width": config.width, "heads": config.heads, "head_width": config.head_width}

        spatial = _spatial(spec, load)
        temporal = None
        if config.temporal_transformer:
            temporal = TemporalTransformer(
                _positions(config, max_frames), depth=config.temporal_depth, mlp_width=config.mlp_width, **block
            )
        input_px = config.input_px if len(spec.shape) == 3 else None
        self.encoder = ViViT(spatial, temporal, config.centered, input_px)
        self.cross = None
        if config.cross_attention:
            self.cross = CrossAttention(
                _positions(config, max_frames),
                depth=config.cross_depth,
                attention=config.attention,
                self_layers=config.cross_layers == "self_cross",
                **block,
            )

    def forward(self, a: Tensor, b: Tensor, lengths, keep) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """u of two sequences in each other's sight; lengths and keep are those of a and of b."""
        keep = keep if self.masks else (None, None)
        u_a = self.encoder(a, lengths[0], keep[0])
        u_b = u_a if b is a else self.encoder(b, lengths[1], keep[1])
        return (u_a, u_b) if self.cross is None else self.cross(u_a, u_b, lengths, keep)


class AlignmentNetwork(nn.Module):
    """Embeds two sequences in each other's sight: a branch for each modality, in the given order.

    width: of its embeddings, that of the first branch. load: read a backbone's pretrained weights; False where a
    checkpoint is loaded into the network afterwards.
    """

    def __init__(self, specs: Mapping[str, BranchSpec], max_frames: int, load: bool = True):
        super().__init__()
        self.specs, self.max_frames = dict(specs), max_frames
        sizes = {name: sized(spec) for name, spec in specs.items()}
        configs = [spec.config for spec in sizes.values()]
        self.masks = all(config.masks for config in configs)
        self.width = configs[0].width
        self.branches = nn.ModuleDict({name: Branch(spec, max_frames, load) for name, spec in sizes.items()})
        self.fusion = Fusion([config.width for config in configs]) if len(configs) > 1 else None
        self.head = ProjectionHead(self.width) if configs[0].projection_head else nn.Identity()

    def parts(self, a: Sequences, b: Sequences) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """u of both sequences in each modality by itself, (B, T, D) and (B, S, D) of each."""
        lengths, keep = (a.lengths, b.lengths), (a.keep, b.keep)
        pairs = zip(self.branches.values(), a.frames, b.frames, strict=True)
        u_a, u_b = zip(*(branch(of_a, of_b, lengths, keep) for branch, of_a, of_b in pairs), strict=True)
        return u_a, u_b

    def joined(self, parts: tuple[Tensor, ...]) -> Float[Tensor, "B T D"]:
        """u of sequences, before the projection head."""
        return parts[0] if self.fusion is None else self.fusion(parts)

    def features(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """u of both sequences, before the projection head."""
        u_a, u_b = self.parts(a, b)
        return self.joined(u_a), self.joined(u_b)

    def self_features(self, a: Sequences) -> Float[Tensor, "B T D"]:
        """u of sequences each paired with itself: what is evaluated (encoded once)."""
        return self.features(a, a)[0]

    def forward(self, a: Sequences, b: Sequences) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """z of both sequences, for the loss."""
        u_a, u_b = self.features(a, b)
        return self.head(u_a), self.head(u_b)


def _positions(config: ModelConfig, max_frames: int) -> Positions | None:
    if not config.positional_encoding:
        return None
    if config.positions == "sine":
        return SinePositions()
    return TemporalPositions(max_frames, config.width, config.position_drift)


def _spatial(spec: BranchSpec, load: bool) -> nn.Module:
    """What makes one vector of each frame."""
    config, shape = spec.config, spec.shape
    if config.spatial == "flat":
        return Flat()
    if config.spatial == "mlp":
        return SpatialMLP(shape, config.width)
    if config.spatial in GRAPHS:
        return _graph(spec)
    if len(shape) != 3:
        raise InputError(
            f"Expected frames that are grids of pixels for spatial: {config.spatial}, but got {shape[0]} joints. Choose"
            f" flat, mlp, {' or '.join(GRAPHS)} for this modality, as the methods CASA and LA2DS-heart do."
        )
    num_channels, size_px = shape[:2]
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


def _graph(spec: BranchSpec) -> nn.Module:
    config, shape = spec.config, spec.shape
    if len(shape) != 2:
        raise InputError(
            f"Expected coordinates of joints for spatial: {config.spatial}, but got a grid of pixels. Choose mlp or"
            f" {' or '.join(GRIDS)} for this modality."
        )
    if config.spatial == "graph_transformer":
        return GraphTransformer(
            shape,
            config.positional_encoding,
            width=config.width,
            depth=config.spatial_depth,
            heads=config.heads,
            head_width=config.head_width,
        )
    if not spec.limbs:
        raise InputError(
            "Expected a skeleton with limbs for spatial: graph_convolution, but got none. Add `limbs` to it."
        )
    return GraphConvolution(shape, spec.limbs, config.width, config.spatial_depth)
