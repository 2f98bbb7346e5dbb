"""The settings of a network, and what a branch of it is built from."""

import math
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from pipeline.config import Config, InputError
from pipeline.models.pretrained import BackboneConfig

# The values of `spatial` that take only frames which are grids of pixels, or only coordinates of joints.
GRIDS, GRAPHS = ("transformer", "pretrained"), ("graph_convolution", "graph_transformer")
LEAST_HEAD_WIDTH = 5


class ModelConfig(Config):
    """The defaults are the paper's network; the switches below `max_frames` are its ablations (Table 1) and its peers.

    CASA (Kwon et al., 2022) is `spatial: flat`, `width`, `heads` and `head_width: null`, `temporal_transformer: false`,
    `positions: sine`, `cross_layers: self_cross`; STGCN+CASA the last three with `spatial: graph_convolution`; LA2DS♥
    (Table 12) the defaults with `spatial: graph_transformer`.
    """

    width: int | None = Field(192, gt=0)  # None: as many as a frame has numbers, which `spatial: flat` takes for tokens
    heads: int | None = Field(3, gt=0)  # None: as many as the width divides into with 5 numbers or more each
    head_width: int | None = Field(64, gt=0)  # None: width / heads
    mlp_width: int = Field(768, gt=0)
    patch_px: int = Field(10, gt=0)
    input_px: int | None = Field(None, gt=0)  # frames are shrunk to this side first; None: as they are stored
    spatial_depth: int = Field(4, ge=0)
    temporal_depth: int = Field(4, ge=0)
    cross_depth: int = Field(4, ge=0)
    graph_depth: int = Field(9, gt=0)  # of `spatial: graph_convolution`, in the place of spatial_depth
    graph_width: int = Field(256, gt=0)  # and of width
    max_frames: int | None = Field(None, gt=0)  # None: the longest training sequence
    spatial: Literal["transformer", "mlp", "pretrained", "flat", "graph_convolution", "graph_transformer"] = (
        "transformer"
    )
    backbone: BackboneConfig = BackboneConfig()  # of `spatial: pretrained`
    temporal_transformer: bool = True
    cross_attention: bool = True
    cross_layers: Literal["cross", "self_cross"] = "cross"  # self_cross: LoFTR's and CASA's, see CrossAttention
    attention: Literal["linear", "softmax"] = "linear"  # of the cross layers
    projection_head: bool = True
    positional_encoding: bool = True
    positions: Literal["learned", "sine"] = "learned"  # of frames in time; sine: fixed, as CASA's
    position_drift: float = Field(1.0, ge=1)  # ours: above 1, training hides the frame number; see TemporalPositions
    centered: bool = False  # ours: subtract each sequence's mean frame token, which tells who is seen and from where
    masks: bool = True  # False: padding takes part, as in CASA's code

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        if (self.width is None) != (self.spatial == "flat"):
            raise ValueError(f"width null and spatial flat go together, got {self.width} and {self.spatial}")
        if self.positions == "sine" and self.position_drift > 1:
            raise ValueError("position_drift is of learned positions, and 1.0 with positions sine")
        return self


class BranchSpec(NamedTuple):
    """What a branch is built from.

    shape: of a frame of its modality, (C, S, S) for a grid, (K, 2 or 3) for coordinates. limbs: of the skeleton that
    coordinates are of, pairs of joints.
    """

    config: ModelConfig
    shape: tuple[int, ...]
    limbs: tuple[tuple[int, int], ...] = ()


def sized(spec: BranchSpec) -> BranchSpec:
    """The same with the shape that the encoder sees, and the widths that the settings leave to it."""
    config, shape = spec.config, spec.shape
    if config.input_px and len(shape) == 3:
        shape = (shape[0], config.input_px, config.input_px)
    if config.spatial == "graph_convolution":
        config = config.model_copy(update={"width": config.graph_width, "spatial_depth": config.graph_depth})
    width = config.width or math.prod(shape)
    # As CASA's: 15 heads of 5 on Penn Action (25 joints in 3D), 21 of 6 on H2O (42), 3 of 17 (or 17 of 3) on IKEA ASM.
    heads = config.heads or width // next(
        size for size in range(min(LEAST_HEAD_WIDTH, width), width + 1) if width % size == 0
    )
    if config.head_width is None and width % heads:
        raise InputError(
            f"Expected heads that divide the width, but got {heads} heads and width {width}. Set model.heads to null."
        )
    sizes = {"width": width, "heads": heads, "head_width": config.head_width or width // heads}
    return spec._replace(config=config.model_copy(update=sizes), shape=shape)
