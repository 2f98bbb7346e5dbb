"""A data set of four noise sequences, small enough to train on."""

import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.frame_store import write_frames
from pipeline.frames import FramesConfig, frame_boxes
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.stores import Paths
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton

FRAMES = FramesConfig(size_px=32)


class Grey:
    stamp = ()

    def crops(self, n, frames, box, size_px):
        return np.full((frames.stop - frames.start, size_px, size_px, 3), 128, np.uint8)


@pytest.fixture
def paths(tmp_path) -> Paths:
    clips = [
        Clip(str(n), "wave", "val" if n > 1 else "train", rng.uniform(0, 99, (9, 13, 2)), np.ones((9, 13)), fps=30.0)
        for n, rng in enumerate(map(np.random.default_rng, range(4)))
    ]
    skeleton = load_skeleton("penn_13")
    sequences = from_clips(clips, dataset="waves", skeleton=skeleton, event_names={}, poses="annotated", labels="none")
    paths = Paths(*(tmp_path / name for name in ("poses", "heatmaps", "frames")))
    write_sequences(sequences, paths.poses)
    write_heatmaps(sequences, paths.poses, paths.heatmaps, RenderConfig(), "synchronous")
    boxes = frame_boxes(sequences, 0.0, False, FRAMES)
    write_frames(sequences, paths.poses, paths.frames, Grey(), boxes, FRAMES, "synchronous")
    return paths
