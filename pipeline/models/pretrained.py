"""An image network with pretrained weights in place of the spatial transformer, through timm (Wightman, 2019).

Shapes: F frames, C channels, S side of a frame, D width.
"""

import importlib
import pickle
import sys
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from pydantic import model_validator
from torch import Tensor, nn

from pipeline.config import Config, InputError, MissingPackage
from pipeline.models.patches import scaled
from pipeline.torchvision_import import import_torchvision
from pipeline.weights import find_weights

HOW_TO_INSTALL = "Run `pip install -e '.[timm]'`."
STRIDE_PX = 16  # by which a convolutional network is taken to have shrunk a frame, on average, to tell its memory
TOKEN_BLOCKS = 4  # of the ViT to which the budget of tokens in `vivit.py` belongs


class BackboneConfig(Config):
    """name: of a timm model. weights: a file of it, which needs its sha256; without one timm looks into its cache and
    else downloads. pretrained: False begins at random weights. freeze: train only what follows."""

    name: str = "vit_tiny_patch16_224.augreg_in21k"
    weights: Path | None = None
    sha256: str | None = None
    pretrained: bool = True
    freeze: bool = False

    @model_validator(mode="after")
    def _weights_are_known(self) -> "BackboneConfig":
        if self.weights and not self.sha256:
            raise ValueError(f"weights {self.weights} need their sha256, so that a change of the file is noticed")
        if not self.pretrained and (self.weights or self.freeze):
            raise ValueError("pretrained false begins at random weights: no file, and nothing to freeze")
        return self


class PretrainedImage(nn.Module):
    """RGB frames in [0, 1] -> the network's pooled features -> linear to D.

    load: False leaves the backbone at random weights, for a checkpoint that is loaded afterwards. Batch normalisation
    and dropout stay as in inference: frames may pass twice (gradient checkpointing), and sequences are of any length.
    Raises InputError for weights that are missing or do not fit, for an unknown name, and for other than 3 channels.
    """

    def __init__(self, config: BackboneConfig, num_channels: int, size_px: int, width: int, load: bool = True):
        super().__init__()
        if num_channels != 3:
            raise InputError(
                f"Expected RGB for spatial: pretrained, but got {num_channels} channels. Take another for this modality."
            )
        timm = _import_timm()
        if not timm.is_model(config.name.split(".")[0]):
            raise InputError(f"Expected the name of a timm model, but got {config.name!r}. Correct backbone.name.")
        # A vision transformer is made for one size, and timm fits its weights to it; other networks take any.
        fixed = getattr(timm.get_pretrained_cfg(config.name), "fixed_input_size", False)
        sized = {"img_size": size_px} if fixed else {}
        from_cache = load and config.pretrained and config.weights is None
        try:
            self.backbone = timm.create_model(config.name, pretrained=from_cache, num_classes=0, **sized)
            if load and config.weights:
                _load_file(timm, self.backbone, find_weights(Path(), config.weights, config.sha256))
        except InputError:
            raise
        except (RuntimeError, ValueError, OSError, KeyError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"Expected weights of {config.name!r}, but {config.weights or 'timm'} gave none that fit: {reason}"
            ) from None
        self.backbone.requires_grad_(not config.freeze)
        cfg = self.backbone.pretrained_cfg
        self.register_buffer("mean", torch.tensor(cfg["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(cfg["std"]).view(3, 1, 1), persistent=False)
        self.project = nn.Linear(self.backbone.num_features, width)
        blocks = len(getattr(self.backbone, "blocks", range(TOKEN_BLOCKS)))
        self.num_tokens = max(1, (size_px // STRIDE_PX) ** 2 * blocks // TOKEN_BLOCKS)

    def train(self, mode: bool = True) -> "PretrainedImage":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Shaped[Tensor, "F C S S"]) -> Float[Tensor, "F D"]:
        return self.project(self.backbone((scaled(x) - self.mean) / self.std))


def _load_file(timm, model: nn.Module, path: Path) -> None:
    """All weights of the model from a file, fitted to its size where timm knows how; others in the file are left."""
    fitted = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    found = timm.models.load_checkpoint(model, str(path), strict=False, filter_fn=fitted, weights_only=True)
    if found.missing_keys:
        raise ValueError(f"{len(found.missing_keys)} weights are missing, e.g. {found.missing_keys[0]}")


def _import_timm():
    try:
        import_torchvision(HOW_TO_INSTALL)
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingPackage(f"Expected the package timm, but {error}. {HOW_TO_INSTALL}") from None
