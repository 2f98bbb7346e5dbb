"""Tokens of heatmaps, forward and back: the sum over seen pixels against the dense product, `python -m benchmarks.patches`.

400 frames, 36 channels of 30 x 30 with a blob in each, to width 192, as in a step of the preset `quick`; blobs of several
sizes, to see from where on the dense product is faster.
"""

import time

import numpy as np
import torch
from torch import nn

from pipeline.models import patches

FRAMES, CHANNELS, SIZE, PATCH_PX, WIDTH, ROUNDS = 400, 36, 30, 10, 192, 9
SIGMAS_PX = (0.6, 0.8, 1.2, 1.6, 2.0)


def heatmaps(sigma_px: float) -> torch.Tensor:
    rng, at = np.random.default_rng(0), np.arange(SIZE)
    x, y = rng.uniform(3, SIZE - 3, (2, FRAMES, CHANNELS, 1))
    blobs = [np.exp(-((at - centre) ** 2) / (2 * sigma_px**2)) for centre in (x, y)]
    return torch.from_numpy((255 * blobs[1][..., :, None] * blobs[0][..., None, :]).astype(np.uint8))


def seconds(frames: torch.Tensor, layer: nn.Linear, sparse_below: float) -> float:
    patches.SPARSE_BELOW = sparse_below
    began = time.process_time()
    patches.embed_patches(frames, PATCH_PX, layer).square().sum().backward()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    layer, chosen = nn.Linear(CHANNELS * PATCH_PX**2, WIDTH), patches.SPARSE_BELOW
    for sigma_px in SIGMAS_PX:
        frames = heatmaps(sigma_px)
        times = np.array([[seconds(frames, layer, below) for below in (1.0, 0.0)] for _ in range(ROUNDS)])
        sparse, dense = np.median(times[1:], axis=0)
        share = float((frames > 0).float().mean())
        taken = "taken" if share < chosen else "not taken"
        print(f"{share:.1%} of the pixels seen: {dense / sparse:.2f} times the speed of the dense product, {taken}")


if __name__ == "__main__":
    main()
