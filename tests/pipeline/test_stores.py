"""Stores that do not belong together, and networks that are not there, are refused by name."""

import pytest
from rich.progress import Progress

from pipeline.config import InputError
from pipeline.evaluation import EvaluateConfig
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.methods import System
from pipeline.results import evaluate_dataset
from pipeline.training import FusionConfig, TrainConfig
from pipeline.training_runs import fuse_dataset, train_dataset

SMALL = {"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "spatial_depth": 1, "temporal_depth": 1}
QUICK = TrainConfig(epochs=1, passes_per_epoch=1, batch_size=2, device="cpu", model={**SMALL, "cross_depth": 1})


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
