"""From the pixels of a frame to tokens: each patch times one matrix.

Heatmaps are empty but for some three pixels in a hundred. On the CPU the product is a sum over those alone, forward and
back; pictures, and anything on a GPU, take the dense product.

Shapes: F frames, C channels, S size, P patches of p x p pixels, D width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

SPARSE_BELOW = (
    0.08  # share of pixels that are not 0; from some 0.1 on the dense product is faster (benchmarks/patches.py)
)


def scaled(frames: Tensor) -> Tensor:
    """uint8 pixels as floats in [0, 1]; floats as they are."""
    return frames.float().div_(255) if frames.dtype == torch.uint8 else frames


def embed_patches(frames: Shaped[Tensor, "F C S S"], patch_px: int, layer: nn.Linear) -> Float[Tensor, "F P D"]:
    """`layer` (C * p * p -> D) of every patch. frames: uint8, which count as [0, 1], or floats; patch_px divides S."""
    num_frames, channels, size, _ = frames.shape
    side = size // patch_px
    patches = frames.view(num_frames, channels, side, patch_px, side, patch_px).permute(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(num_frames, side * side, channels * patch_px**2)
    if patches.dtype == torch.uint8 and patches.device.type == "cpu":
        pixels = patches.numpy().reshape(-1)
        seen = pixels.view(np.bool_)
        if np.count_nonzero(seen) < SPARSE_BELOW * seen.size:
            return _sum_of_seen(pixels, np.flatnonzero(seen), layer).view(num_frames, side * side, -1)
    return layer(scaled(patches))


def _sum_of_seen(pixels: np.ndarray, seen: np.ndarray, layer: nn.Linear) -> Float[Tensor, "FP D"]:
    """pixels: of all patches behind each other. seen: where in them, in rising order, something is."""
    patch, place = np.divmod(seen, layer.in_features)
    begins = np.searchsorted(patch, np.arange(len(pixels) // layer.in_features))
    weights = scaled(torch.from_numpy(pixels[seen]))
    summed = F.embedding_bag(
        torch.from_numpy(place),
        layer.weight.t().contiguous(),
        torch.from_numpy(begins),
        mode="sum",
        per_sample_weights=weights,
    )
    return summed if layer.bias is None else summed + layer.bias
