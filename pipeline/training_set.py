"""The training videos of one action: their skeletons in memory, and every modality that is trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, augment
from pipeline.crop import to_grid
from pipeline.inputs import STORES
from pipeline.modalities.base import Modality
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Stores
from pipeline.models.network import Sequences
from pipeline.skeleton import Skeleton


@dataclass(frozen=True)
class TrainingVideo:
    """One video's skeletons, to augment (T frames, K joints).

    number: in the pose store. uv (T, K, 2) float32 heatmap coordinates. confidence (T, K). px_per_cell (2,): frame
    pixels per heatmap pixel.
    """

    number: int
    uv: np.ndarray
    confidence: np.ndarray
    px_per_cell: np.ndarray


@dataclass(frozen=True)
class TrainingSet:
    """The training videos of one action. size_px: of a heatmap."""

    videos: list[TrainingVideo]
    skeleton: Skeleton
    size_px: int
    modalities: dict[str, Modality]

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(video.uv) for video in self.videos])

    def sample(
        self, batch: Sequence[int], config: AugmentationConfig, rng: np.random.Generator, device: torch.device
    ) -> tuple[Sequences, Sequences, Tensor]:
        """The originals of a batch, one augmented version of each, and i_gt (B, N); all modalities show the same frames."""
        videos = [self.videos[i] for i in batch]
        drawn = [augment(v.uv, v.confidence, v.px_per_cell, self.skeleton, self.size_px, config, rng) for v in videos]
        numbers = [v.number for v in videos]
        # A generator each, or what one draws would change what the skeletons of the next batch get.
        own = rng.spawn(len(STORES))
        pairs = [
            modality.pairs(numbers, drawn, config, own[list(STORES).index(name)], device)
            for name, modality in self.modalities.items()
        ]
        originals, augmented = zip(*pairs, strict=True)
        index = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(d.index) for d in drawn], batch_first=True)
        return (
            Sequences(originals, torch.tensor([len(v.uv) for v in videos])),
            Sequences(augmented, torch.tensor([len(d.uv) for d in drawn])),
            index.to(device),
        )


def load_training_set(stores: Stores, action: str, modalities: Sequence[str]) -> TrainingSet:
    """The training videos of an action, as the given modalities show them."""
    sequences, store = stores.sequences, stores.heatmaps
    size_px = store.config.size_px
    videos = []
    for n in sequences.where(action, "train"):
        frames, box = sequences.frames(n), store.boxes[n]
        videos.append(
            TrainingVideo(
                number=n,
                uv=to_grid(sequences.joints[frames], box, size_px),
                confidence=sequences.confidence[frames],
                px_per_cell=(box[2:] / size_px).astype(np.float32),
            )
        )
    return TrainingSet(videos, sequences.skeleton, size_px, load_modalities(modalities, stores))
