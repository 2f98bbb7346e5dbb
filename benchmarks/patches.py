"""Tokens of heatmaps, forward and back: the sum over seen pixels against the dense product, `python -m benchmarks.patches`.

400 frames, 36 channels of 30 x 30 with a blob in each, to width 192, as in a step of the preset `quick`.
"""

import time

import numpy as np
import torch
from torch import nn

from pipeline.models import patches

FRAMES, CHANNELS, SIZE, PATCH_PX, WIDTH, ROUNDS = 400, 36, 30, 10, 192, 9


def heatmaps() -> torch.Tensor:
    rng, at = np.random.default_rng(0), np.arange(SIZE)
    x, y = rng.uniform(3, SIZE - 3, (2, FRAMES, CHANNELS, 1))
    blobs = [np.exp(-((at - centre) ** 2) / (2 * 0.8**2)) for centre in (x, y)]
    return torch.from_numpy((255 * blobs[1][..., :, None] * blobs[0][..., None, :]).astype(np.uint8))


def seconds(frames: torch.Tensor, layer: nn.Linear, sparse_below: float) -> float:
    patches.SPARSE_BELOW = sparse_below
    began = time.process_time()
    patches.embed_patches(frames, PATCH_PX, layer).square().sum().backward()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    frames, layer = heatmaps(), nn.Linear(CHANNELS * PATCH_PX**2, WIDTH)
    times = np.array([[seconds(frames, layer, below) for below in (0.2, 0.0)] for _ in range(ROUNDS)])
    ours, dense = np.median(times[1:], axis=0)
    print(f"pixels seen: {(frames > 0).float().mean():.1%}")
    print(f"seen pixels alone: {dense / ours:.2f} times the speed of the dense product")


if __name__ == "__main__":
    main()
