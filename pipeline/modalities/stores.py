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
    """What modalities are made from; frames and extracted are None where no input of the data set needs them.

    extracted: the poses before they were projected. It holds each of the sequences, by name, with as many frames.
    """

    sequences: PoseSequences
    heatmaps: HeatmapStore
    frames: FrameStore | None = None
    extracted: PoseSequences | None = None


@dataclass(frozen=True)
class Paths:
    """Where the stores of a data set lie that networks are trained on and embed; extracted: None without."""

    poses: Path
    heatmaps: Path
    frames: Path
    extracted: Path | None = None

    def open(self, modalities: Iterable[str]) -> Stores:
        """The stores of these modalities.

        Raises InputError for one that is missing or not made from the poses, for pictures of another crop than the
        heatmaps, and for extracted poses of other sequences.
        """
        needed = {STORES[name] for name in modalities}
        sequences, heatmaps = read_sequences(self.poses), HeatmapStore(self.heatmaps, self.poses)
        frames = self._open_frames(heatmaps) if "frames" in needed else None
        return Stores(sequences, heatmaps, frames, self._read_extracted(sequences) if "extracted" in needed else None)

    def _open_frames(self, heatmaps: HeatmapStore) -> FrameStore:
        frames = FrameStore(self.frames, self.poses)
        if not np.allclose(frames.boxes, grown(heatmaps.boxes, frames.config.padding), rtol=1e-5):
            raise InputError(
                f"Expected pictures cropped as the heatmaps are, but {self.frames} has other boxes than {self.heatmaps}."
                " Run the stages render and frames again."
            )
        return frames

    def _read_extracted(self, sequences: PoseSequences) -> PoseSequences:
        if self.extracted is None:
            raise InputError(
                f"Expected poses as they were extracted for {sequences.dataset!r}, but these sequences come without."
                " Choose an input other than pose3d and pose3d-zero."
            )
        extracted = read_sequences(self.extracted)
        lengths = dict(zip(extracted.names, extracted.lengths, strict=True))
        for name, length in zip(sequences.names, sequences.lengths, strict=True):
            if lengths.get(name) != length:
                found = f"{lengths[name]} frames" if name in lengths else "no such sequence"
                raise InputError(
                    f"Expected {length} frames of {name!r}, as in {self.poses}, but got {found} in {self.extracted}."
                    " Run the stages extract and project again."
                )
        return extracted

    def made_from(self, modalities: Iterable[str]) -> dict[str, Path]:
        """The stores that are read, by name."""
        used = {"poses", "heatmaps"} | {STORES[name] for name in modalities}
        return {name: path for name, path in vars(self).items() if name in used}
