"""Stores that do not belong together, and networks that are not there, are refused by name."""

import numpy as np
import pytest
from rich.progress import Progress

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.evaluation import EvaluateConfig
from pipeline.frame_store import write_frames
from pipeline.frames import FramesConfig, frame_boxes
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.methods import System
from pipeline.modalities.stores import Paths
from pipeline.results import evaluate_dataset
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.training import FusionConfig, TrainConfig
from pipeline.training_runs import fuse_dataset, train_dataset

SMALL = {"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "spatial_depth": 1, "temporal_depth": 1}
QUICK = TrainConfig(epochs=1, passes_per_epoch=1, batch_size=2, device="cpu", model={**SMALL, "cross_depth": 1})
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


def test_pictures_of_another_crop_than_the_heatmaps_are_refused(paths):
    sequences = paths.open(("pose2d", "rgb")).sequences
    write_heatmaps(sequences, paths.poses, paths.heatmaps, RenderConfig(padding=0.5), "synchronous")
    assert paths.open(("pose2d",)).frames is None
    with pytest.raises(InputError, match=r"has other boxes than .* Run the stages render and frames again"):
        paths.open(("pose2d", "rgb"))


def test_networks_that_were_not_trained_are_named(paths, tmp_path):
    models, fused, results = (tmp_path / name for name in ("models", "fused", "results"))
    kept, both = tmp_path / "runs", ("pose2d", "flow")

    def systems(*inputs):
        return [System("la2ds", modalities, QUICK, FusionConfig(epochs=1)) for modalities in inputs]

    with Progress(disable=True) as progress:
        train_dataset(paths, models, kept, systems(("pose2d",), ("rgb",)), progress)
        with pytest.raises(
            InputError, match=r"an encoder of stage one.*wave/la2ds_flow/seed_0.safetensors. Run train again"
        ):
            fuse_dataset(paths, models, fused, kept, systems(both), progress)
        fuse_dataset(paths, models, fused, kept, [], progress)
        with pytest.raises(
            InputError, match=r"networks of a system.*wave/la2ds_pose2d\+flow. Run train and fuse again"
        ):
            wanted = {"la2ds": (("pose2d",), both)}
            evaluate_dataset(paths, models, fused, results, EvaluateConfig(), wanted, progress)
