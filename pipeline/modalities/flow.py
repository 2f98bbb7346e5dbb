"""`flow`: dense optical flow between a crop and the one before it, by OpenCV's DIS (Kroeger et al., 2016).

The crop box of a sequence stands still, so that flow is the person's and the camera's motion, in crop pixels a frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented
from pipeline.modalities.base import joined
from pipeline.modalities.stores import Stores

LARGEST = 0.1  # of the crop's side, per frame: motion that is shown as 1 or 255; rest is 128
HELD_FRAMES = 20_000  # whose flow stays in memory (at 112 px, 500 MB): it costs more to compute than to read frames


@dataclass(frozen=True)
class Flow:
    """fetch: n -> (T, 2, S, S) uint8, motion along x and y. crops: n -> the (T, S, S, 3) uint8 pictures it is made from."""

    fetch: Callable[[int], np.ndarray]
    crops: Callable[[int], np.ndarray]
    shape: tuple[int, int, int]
    limbs: tuple[tuple[int, int], ...] = ()

    def original(self, n: int, index: np.ndarray | None = None) -> np.ndarray:
        return self.fetch(n) if index is None else optical_flow(self.crops(n)[index])

    def pairs(
        self,
        numbers: Sequence[int],
        drawn: Sequence[Augmented],
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        originals = [self.fetch(n) for n in numbers]
        augmented = [
            mirrored(frames[d.index]) if d.flipped else frames[d.index]
            for frames, d in zip(originals, drawn, strict=True)
        ]
        return joined(originals, device), joined(augmented, device)


def optical_flow(frames: np.ndarray) -> np.ndarray:
    """(T, 2, S, S) uint8 of (T, S, S, 3) uint8 RGB frames: 128 + 127 * motion / (0.1 S), at most 1..255.

    Frame t holds the motion since frame t - 1, and the first, which would give itself away by having none, the second's.
    """
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    size_px = frames.shape[1]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    motion = np.zeros((len(frames), size_px, size_px, 2), np.float32)
    for t in range(1, len(frames)):
        motion[t] = estimator.calc(grey[t - 1], grey[t], None)
    motion[0] = motion[min(1, len(motion) - 1)]
    levels = np.rint(128 + 127 * (motion / (LARGEST * size_px)).clip(-1, 1))
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 3, 1, 2))


def mirrored(flow: np.ndarray) -> np.ndarray:
    """The flow of mirrored frames: x runs the other way, and so does the motion along it."""
    flipped = flow[..., ::-1].copy()
    flipped[:, 0] = 256 - flipped[:, 0].astype(np.int16)  # levels are 1..255
    return flipped


def load(stores: Stores) -> Flow:
    sequences, store = stores.sequences, stores.frames
    assert store is not None, "inputs with pictures come with their store"

    def crops(n: int) -> np.ndarray:
        return store.frames(sequences.frames(n))

    held = max(1, HELD_FRAMES // int(sequences.lengths.max()))
    return Flow(lru_cache(held)(lambda n: optical_flow(crops(n))), crops, (2, store.size_px, store.size_px))
