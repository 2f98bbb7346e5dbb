"""The training videos of one action, in memory, from the pose store and the heatmap store."""

from dataclasses import dataclass

import numpy as np

from pipeline.crop import to_grid
from pipeline.heatmap import grid_sigma
from pipeline.heatmap_store import HeatmapStore
from pipeline.sequence import PoseSequences
from pipeline.skeleton import Skeleton


@dataclass(frozen=True)
class TrainingVideo:
    """One video as training sees it (T frames, K joints, C channels, S heatmap size).

    heatmaps (T, C, S, S) uint8. uv (T, K, 2) float32 heatmap coordinates and confidence (T, K), to augment and render
    again. px_per_cell (2,): frame pixels per heatmap pixel. sigma (2,): heatmap pixels.
    """

    heatmaps: np.ndarray
    uv: np.ndarray
    confidence: np.ndarray
    px_per_cell: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True)
class TrainingSet:
    """The training videos of one action and how their heatmaps are rendered."""

    videos: list[TrainingVideo]
    skeleton: Skeleton
    channels: str

    @property
    def size_px(self) -> int:
        return self.videos[0].heatmaps.shape[-1]

    @property
    def num_channels(self) -> int:
        return self.videos[0].heatmaps.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(video.heatmaps) for video in self.videos])


def load_training_set(sequences: PoseSequences, store: HeatmapStore, action: str) -> TrainingSet:
    """Read the training videos of an action; their heatmaps stay in memory (C * S * S bytes a frame)."""
    size_px = store.config.size_px
    videos = []
    for n in sequences.where(action, "train"):
        frames, box = sequences.frames(n), store.boxes[n]
        videos.append(
            TrainingVideo(
                heatmaps=store.frames(frames),
                uv=to_grid(sequences.joints[frames], box, size_px),
                confidence=sequences.confidence[frames],
                px_per_cell=(box[2:] / size_px).astype(np.float32),
                sigma=grid_sigma(box, store.config),
            )
        )
    return TrainingSet(videos, sequences.skeleton, store.config.channels)
