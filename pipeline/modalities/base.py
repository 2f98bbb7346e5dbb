"""What a modality is: frames of a sequence as arrays, and a pair of an original and an augmented batch of them.

Shapes: T frames of a sequence, N of its augmented version, F of all sequences of a batch together.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented


class Modality(Protocol):
    """One modality of the sequences of a data set, each called by its number n in the pose store.

    shape: of a frame as the network sees it; (C, S, S) for a grid, (K, 2 or 3) for coordinates of joints. limbs: pairs
    of joints, for coordinates; else none.
    """

    shape: tuple[int, ...]
    limbs: tuple[tuple[int, int], ...]

    def original(self, n: int, index: np.ndarray | None = None) -> np.ndarray:
        """(T, *shape) of a whole sequence: uint8 for a grid, which the network scales to [0, 1], else float32.

        index: show these frames of it instead, as if they had been filmed so.
        """

    def pairs(
        self,
        numbers: Sequence[int],
        drawn: Sequence[Augmented],
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """(F, *shape) of the originals and of their augmented versions, on the device.

        drawn: one for each number; its `index` and `flipped` are followed, so that all modalities show the same frames.
        """


def joined(sequences: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """The frames of several sequences behind each other, on the device."""
    return torch.from_numpy(np.concatenate(sequences)).to(device)
