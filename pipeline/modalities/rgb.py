"""`rgb`: crops of the video around the person; augmented by brightness, contrast and flip (paper section 3.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented
from pipeline.modalities.base import joined
from pipeline.modalities.stores import Stores


@dataclass(frozen=True)
class RGB:
    """fetch: n -> (T, S, S, 3) uint8; called whenever frames are needed, so that no more than a batch is in memory."""

    fetch: Callable[[int], np.ndarray]
    shape: tuple[int, int, int]
    limbs: tuple[tuple[int, int], ...] = ()

    def original(self, n: int, index: np.ndarray | None = None) -> np.ndarray:
        return channels_first(self.fetch(n) if index is None else self.fetch(n)[index])

    def pairs(
        self,
        numbers: Sequence[int],
        drawn: Sequence[Augmented],
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        originals, augmented = [], []
        for n, d in zip(numbers, drawn, strict=True):
            frames = self.fetch(n)
            draws = rng.uniform(-1, 1, (2, len(d.index) if config.light_per_frame else 1))
            shown = frames[d.index, :, ::-1] if d.flipped else frames[d.index]
            originals.append(channels_first(frames))
            augmented.append(
                channels_first(relight(shown, config.brightness * draws[0], 1 + config.contrast * draws[1]))
            )
        return joined(originals, device), joined(augmented, device)


def relight(frames: np.ndarray, shift: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """uint8 frames of one sequence with grey levels shifted, and their distance from the sequence's mean scaled.

    shift, factor: (T,), or (1,) for all frames.
    """
    mean = frames.mean()
    levels = (np.arange(256) - mean) * factor[:, None] + mean + shift[:, None]
    table = np.rint(levels).clip(0, 255).astype(np.uint8)
    if len(table) == 1:
        return table[0][frames]
    return np.stack([level[frame] for level, frame in zip(table, frames, strict=True)])


def channels_first(frames: np.ndarray) -> np.ndarray:
    """(T, S, S, C) -> (T, C, S, S)."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))


def load(stores: Stores) -> RGB:
    sequences, store = stores.sequences, stores.frames
    assert store is not None, "inputs with pictures come with their store"
    return RGB(lambda n: store.frames(sequences.frames(n)), (3, store.size_px, store.size_px))
