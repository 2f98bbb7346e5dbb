import json

import numpy as np
import pytest
import torch

from pipeline.checkpoint import load_network, save_network
from pipeline.config import InputError
from pipeline.embedding import embed
from pipeline.heatmap import render
from pipeline.models.network import Sequences
from pipeline.skeleton import load_skeleton
from pipeline.training import TrainConfig, Trainer, batches
from pipeline.training_set import TrainingSet, TrainingVideo

SKELETON = load_skeleton("penn_13")
SMALL = {
    "width": 32,
    "heads": 2,
    "head_width": 16,
    "mlp_width": 64,
    "spatial_depth": 1,
    "temporal_depth": 1,
    "cross_depth": 1,
}
QUICK = {"epochs": 3, "passes_per_epoch": 2, "batch_size": 2, "learning_rate": 0.032, "device": "cpu", "model": SMALL}


def training_set(num_videos=5, frames=12):
    """People who raise both arms, each at an own pace."""
    videos = []
    for n in range(num_videos):
        rng = np.random.default_rng(n)
        length = frames + 2 * n
        uv = np.tile(rng.uniform(5, 25, (13, 2)), (length, 1, 1)).astype(np.float32)
        uv[:, 3:7, 1] = 25 - 20 * np.sin(np.pi * np.linspace(0, 1, length))[:, None] ** 2
        uv[:, 3:7, 0] += np.linspace(0, 5, length)[:, None]
        confidence, sigma = np.ones((length, 13), np.float32), np.array([0.6, 0.6], np.float32)
        heatmaps = render(uv, confidence, SKELETON.limb_index, sigma, 30, "joints+limbs")
        videos.append(TrainingVideo(heatmaps, uv, confidence, np.ones(2, np.float32), sigma))
    return TrainingSet(videos, SKELETON, "joints+limbs")


def weights(trainer):
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        trainer = Trainer(training_set(), TrainConfig(**QUICK), seed, tmp_path / str(number))
        list(trainer.run())
        runs.append(weights(trainer))
    assert_equal(runs[0], runs[1])
    assert any(not torch.equal(runs[0][name], runs[2][name]) for name in runs[0])


@pytest.mark.parametrize("model", [{}, {"position_drift": 2.0}])
def test_a_run_that_was_cut_off_ends_in_the_same_weights(tmp_path, model):
    config = TrainConfig(**{**QUICK, "model": SMALL | model, "milestones": [2]})
    whole = Trainer(training_set(), config, 0, tmp_path / "whole")
    list(whole.run())
    cut = Trainer(training_set(), config, 0, tmp_path / "cut")
    next(cut.run())
    # As if killed while the next checkpoint was being written: its tensors lie there, nothing counts them.
    (tmp_path / "cut" / "epoch_0002.safetensors").write_bytes(b"half")
    resumed = Trainer(training_set(), config, 0, tmp_path / "cut")
    assert len(resumed.history) == 1
    list(resumed.run())
    assert resumed.history == whole.history
    assert_equal(weights(resumed), weights(whole))


def test_training_lowers_the_loss(tmp_path):
    config = TrainConfig(
        **{**QUICK, "epochs": 8, "passes_per_epoch": 8, "loss": {"scale": "literal", "temperature": 1}}
    )
    trainer = Trainer(training_set(), config, 0, tmp_path)
    losses = [epoch.loss for epoch in trainer.run()]
    assert losses[-1] < 0.3 * losses[0]


def test_every_video_passes_as_often_as_told_and_batches_have_like_lengths():
    lengths = np.random.default_rng(0).integers(10, 200, 50)
    drawn = list(batches(lengths, 6, 4, np.random.default_rng(1)))
    np.testing.assert_array_equal(np.bincount(np.concatenate(drawn)), 6)
    padded = sum(len(b) * lengths[b].max() for b in drawn) / sum(lengths[b].sum() for b in drawn) - 1
    assert padded < 0.15


def test_learning_rate_scales_with_the_batch_and_halves_at_milestones():
    config = TrainConfig()
    assert config.rate(0) == config.rate(29) == 3e-3
    assert config.rate(30) == 1.5e-3 and config.rate(100) == pytest.approx(3e-3 / 2**8)
    assert TrainConfig(batch_size=32).rate(0) == 1.5e-3


def test_a_diverging_run_is_told_in_one_line(tmp_path):
    trainer = Trainer(training_set(), TrainConfig(**QUICK), 0, tmp_path)
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="finite loss, but got nan in epoch 0"):
        next(trainer.run())


def test_a_saved_network_embeds_as_before_and_untrained_as_at_the_start(tmp_path):
    data = training_set()
    videos = [video.heatmaps for video in data.videos]
    trainer = Trainer(data, TrainConfig(**QUICK), 3, tmp_path / "checkpoints")
    before = embed(trainer.network, videos)
    list(trainer.run())
    save_network(trainer.network, trainer.shape, 3, tmp_path / "seed_3")
    for trained, expected in ((True, embed(trainer.network, videos)), (False, before)):
        for a, b in zip(embed(load_network(tmp_path / "seed_3", trained), videos), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert json.loads((tmp_path / "seed_3.json").read_text())["model"]["width"] == 32


@pytest.mark.parametrize("masks", [True, False])
def test_embedding_does_not_depend_on_what_else_is_embedded(tmp_path, masks):
    data = training_set()
    network = Trainer(data, TrainConfig(**{**QUICK, "model": SMALL | {"masks": masks}}), 0, tmp_path).network
    videos = [video.heatmaps for video in data.videos]
    for video, together in zip(videos, embed(network, videos), strict=True):
        np.testing.assert_allclose(embed(network, [video])[0], together, atol=1e-4)
        assert together.shape == (len(video), 32)


@pytest.mark.gpu
def test_cuda_trains_and_resumes(tmp_path):
    config = TrainConfig(**{**QUICK, "device": "cuda"})
    trainer = Trainer(training_set(), config, 0, tmp_path)
    next(trainer.run())
    resumed = Trainer(training_set(), config, 0, tmp_path)
    losses = [epoch.loss for epoch in resumed.run()]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert next(resumed.network.parameters()).is_cuda


@pytest.mark.gpu
def test_cuda_and_cpu_give_the_same_loss_before_training(tmp_path):
    data, losses = training_set(), []
    for device in ("cpu", "cuda"):
        trainer = Trainer(data, TrainConfig(**{**QUICK, "device": device}), 0, tmp_path / device)
        batch = torch.from_numpy(data.videos[0].heatmaps)
        pair = Sequences(batch.to(trainer.device), torch.tensor([len(batch)]))
        losses.append(trainer.network(pair, pair)[0].float().cpu())
    torch.testing.assert_close(*losses, atol=1e-3, rtol=1e-2)
