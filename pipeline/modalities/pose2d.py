"""`pose2d`, `pose2d-joints`, `pose2d-limbs`: joint and limb heatmaps, both or one of them.

The augmented ones are drawn from augmented skeletons (paper section 3.2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented
from pipeline.config import InputError
from pipeline.heatmap import Channels, grid_sigma, num_channels, render, render_torch
from pipeline.modalities.base import joined
from pipeline.modalities.stores import Stores
from pipeline.skeleton import Skeleton


@dataclass(frozen=True)
class Pose2D:
    """fetch: n -> (T, C, S, S) uint8 heatmaps. sigma: heatmap pixels along u and v, of each sequence (N, 2) float32."""

    fetch: Callable[[int], np.ndarray]
    sigma: np.ndarray
    skeleton: Skeleton
    channels: Channels
    shape: tuple[int, int, int]
    limbs: tuple[tuple[int, int], ...] = ()

    def original(self, n: int, index: np.ndarray | None = None) -> np.ndarray:
        return self.fetch(n) if index is None else self.fetch(n)[index]

    def pairs(
        self,
        numbers: Sequence[int],
        drawn: Sequence[Augmented],
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        arrays = (
            np.concatenate([d.uv for d in drawn]),
            np.concatenate([d.confidence for d in drawn]),
            self.skeleton.limb_index,
            np.concatenate([np.tile(self.sigma[n], (len(d.uv), 1)) for n, d in zip(numbers, drawn, strict=True)]),
        )
        size_px = self.shape[-1]
        if device.type == "cpu":
            augmented = torch.from_numpy(render(*arrays, size_px, self.channels))
        else:
            maps = render_torch(*(torch.from_numpy(a).to(device) for a in arrays), size_px, self.channels)
            augmented = (maps * 255).round().to(torch.uint8)
        return joined([self.original(n) for n in numbers], device), augmented


def load(stores: Stores, part: Channels | None = None) -> Pose2D:
    """Heatmaps that were read once stay in memory (C * S * S bytes a frame).

    part: `joints` or `limbs` alone of those that were drawn (paper Table 2); raises InputError where they were not.
    """
    sequences, store = stores.sequences, stores.heatmaps
    skeleton, drawn, size_px = sequences.skeleton, store.config.channels, store.config.size_px
    channels = part or drawn
    if channels not in (drawn, *drawn.split("+")):
        raise InputError(
            f"Expected heatmaps of {part} for the input pose2d-{part}, but those in {store.path} show {drawn}."
            " Set render.channels to joints+limbs."
        )
    first = skeleton.num_joints if (channels, drawn) == ("limbs", "joints+limbs") else 0
    kept = slice(first, first + num_channels(skeleton, channels))
    return Pose2D(
        fetch=cache(lambda n: np.ascontiguousarray(store.frames(sequences.frames(n))[:, kept])),
        sigma=grid_sigma(store.boxes, store.config),
        skeleton=skeleton,
        channels=channels,
        shape=(kept.stop - kept.start, size_px, size_px),
    )
