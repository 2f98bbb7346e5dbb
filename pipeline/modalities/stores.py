"""The stores that modalities are made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.config import InputError
from pipeline.crop import grown
from pipeline.frame_store import FrameStore
from pipeline.heatmap_store import HeatmapStore
from pipeline.inputs import STORES
from pipeline.sequence import PoseSequences, read_sequences


class Stores(NamedTuple):
    """What modalities are made from; frames is None where no input of the data set needs pictures."""

    sequences: PoseSequences
    heatmaps: HeatmapStore
    frames: FrameStore | None = None


@dataclass(frozen=True)
class Paths:
    """Where the stores of a data set lie that networks are trained on and embed."""

    poses: Path
    heatmaps: Path
    frames: Path

    def open(self, modalities: Iterable[str]) -> Stores:
        """The stores of these modalities.

        Raises InputError for one that is missing or not made from the poses, and for pictures of another crop than the
        heatmaps.
        """
        heatmaps = HeatmapStore(self.heatmaps, self.poses)
        if not any(STORES[name] == "frames" for name in modalities):
            return Stores(read_sequences(self.poses), heatmaps)
        frames = FrameStore(self.frames, self.poses)
        if not np.allclose(frames.boxes, grown(heatmaps.boxes, frames.config.padding), rtol=1e-5):
            raise InputError(
                f"Expected pictures cropped as the heatmaps are, but {self.frames} has other boxes than {self.heatmaps}."
                " Run the stages render and frames again."
            )
        return Stores(read_sequences(self.poses), heatmaps, frames)

    def made_from(self, modalities: Iterable[str]) -> dict[str, Path]:
        """The stores that are read, by name."""
        used = {"poses", "heatmaps"} | {STORES[name] for name in modalities}
        return {name: path for name, path in vars(self).items() if name in used}
