"""The training videos of one action: their skeletons in memory, and every modality that is trained on them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.augmentation import AugmentationConfig, Augmented, augment
from pipeline.crop import to_grid
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


class Sampling(NamedTuple):
    """What a step is shown; pairs and frames as of `pipeline.objectives.base`."""

    pairs: str = "augmented"
    frames: int | None = None


class Batch(NamedTuple):
    """One side of B pairs, T frames in the longest: what the network sees, and what of its videos that is.

    time (B, T): the frame of its video that each position shows, rising by 1 in the padding. num_frames (B,): of whole videos.
    """

    sequences: Sequences
    time: Tensor
    num_frames: Tensor

    @property
    def lengths(self) -> Tensor:
        return self.sequences.lengths


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
        self,
        batch: Sequence[int],
        how: Sampling,
        config: AugmentationConfig,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Batch, Batch]:
        """Two views for each video of a batch; all modalities show the same frames.

        `augmented`: the video, and an augmented version. `two_videos`: the video and another one, both augmented.
        """
        if how.pairs == "augmented":
            drawn = self._augmented(batch, config, rng)
            originals, augmented = self._shown(batch, drawn, config, rng, device)
            every = [np.arange(len(self.videos[i].uv)) for i in batch]
            return self._batch(batch, originals, every), self._batch(batch, augmented, [d.index for d in drawn])
        several = len(self.videos) > 1
        others = [(i + int(rng.integers(1, len(self.videos)))) % len(self.videos) if several else i for i in batch]
        first, second = (self._thinned_batch(chosen, how, config, rng, device) for chosen in (batch, others))
        return first, second

    def _augmented(self, batch: Sequence[int], config: AugmentationConfig, rng: np.random.Generator) -> list[Augmented]:
        videos = [self.videos[i] for i in batch]
        return [augment(v.uv, v.confidence, v.px_per_cell, self.skeleton, self.size_px, config, rng) for v in videos]

    def _thinned_batch(self, batch, how: Sampling, config: AugmentationConfig, rng, device: torch.device) -> Batch:
        drawn = [thinned(each, how.frames, rng) for each in self._augmented(batch, config, rng)]
        _, frames = self._shown(batch, drawn, config, rng, device)
        return self._batch(batch, frames, [d.index for d in drawn])

    def _shown(
        self, batch: Sequence[int], drawn: list[Augmented], config: AugmentationConfig, rng, device: torch.device
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The originals and what was drawn of them, in each modality."""
        numbers = [self.videos[i].number for i in batch]
        # What a modality draws changes neither the skeletons of the next batch nor what another one draws.
        draw = int(rng.spawn(1)[0].integers(2**63))
        own = {name: np.random.default_rng([draw, zlib.crc32(name.encode())]) for name in self.modalities}
        pairs = [each.pairs(numbers, drawn, config, own[name], device) for name, each in self.modalities.items()]
        originals, augmented = zip(*pairs, strict=True)
        return originals, augmented

    def _batch(self, batch: Sequence[int], frames: tuple[Tensor, ...], index: Sequence[np.ndarray]) -> Batch:
        """index: the frames of each video that are shown."""
        longest = max(map(len, index))
        time = [np.concatenate([shown, shown[-1] + 1 + np.arange(longest - len(shown))]) for shown in index]
        lengths = torch.tensor([len(shown) for shown in index])
        num_frames = torch.tensor([len(self.videos[i].uv) for i in batch], dtype=torch.float32)
        return Batch(Sequences(frames, lengths), torch.from_numpy(np.stack(time)).float(), num_frames)


def thinned(drawn: Augmented, frames: int | None, rng: np.random.Generator) -> Augmented:
    """At most so many frames of an augmented sequence, chosen at random, in order."""
    if frames is None or len(drawn.index) <= frames:
        return drawn
    kept = np.sort(rng.choice(len(drawn.index), frames, replace=False))
    return replace(drawn, uv=drawn.uv[kept], confidence=drawn.confidence[kept], index=drawn.index[kept])


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
