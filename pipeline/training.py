"""Self-supervised training of one alignment network on the training videos of one action (paper section 3, Table 9).

An epoch is the unit of everything: its random numbers are drawn from (seed, epoch) alone and its state is saved, so
that a run which was killed goes on from the last finished epoch and ends in the same weights.
"""

import csv
import json
import logging
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from rich.progress import Progress

from pipeline.augmentation import AugmentationConfig, augment
from pipeline.checkpoint import load_state, new_network, save_network, save_state
from pipeline.config import Config, InputError
from pipeline.device import DeviceName, pick_device
from pipeline.heatmap import render, render_torch
from pipeline.heatmap_store import HeatmapStore
from pipeline.models.network import ModelConfig, Sequences
from pipeline.objectives.regression_matching import LossConfig, regression_matching_loss
from pipeline.sequence import read_sequences
from pipeline.store import content_hash, finish, open_partial, write_json
from pipeline.training_set import TrainingSet, load_training_set

log = logging.getLogger(__name__)

BUCKETS_PER_SHUFFLE = 16


class TrainConfig(Config):
    """Optimisation (method: paper Table 9) and everything that decides the weights."""

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    epochs: int = Field(200, gt=0)
    passes_per_epoch: int = Field(50, gt=0)
    batch_size: int = Field(64, gt=0)
    learning_rate: float = Field(3e-3, gt=0)
    milestones: tuple[int, ...] = (30, 40, 50, 60, 70, 80, 90, 100)
    gamma: float = Field(0.5, gt=0)
    gradient_clip: float = Field(0.5, gt=0)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    device: DeviceName = "auto"
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    loss: LossConfig = LossConfig()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must differ, got {seeds}")
        return seeds

    def rate(self, epoch: int) -> float:
        """The learning rate of a 0-based epoch: scaled with the batch as CASA's code does, then MultiStepLR."""
        steps = sum(milestone <= epoch for milestone in self.milestones)
        return self.learning_rate * self.batch_size / 64 * self.gamma**steps


@dataclass(frozen=True)
class Epoch:
    """What one epoch leaves for the loss curve. frames counts original and augmented ones; padded is their share."""

    epoch: int
    loss: float
    learning_rate: float
    frames: int
    padded: float


def batches(lengths: np.ndarray, passes: int, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Indices of the videos of each batch: every video `passes` times, those of one batch of like length."""
    order = np.concatenate([rng.permutation(len(lengths)) for _ in range(passes)])
    groups = []
    for start in range(0, len(order), batch_size * BUCKETS_PER_SHUFFLE):
        bucket = order[start : start + batch_size * BUCKETS_PER_SHUFFLE]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        groups += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    for group in rng.permutation(len(groups)):
        yield groups[group]


class Trainer:
    """One network in training; `run` yields after every epoch."""

    def __init__(self, data: TrainingSet, config: TrainConfig, seed: int, checkpoints: Path):
        self.data, self.config, self.seed, self.checkpoints = data, config, seed, checkpoints
        self.device = pick_device(config.device)
        torch.use_deterministic_algorithms(True, warn_only=True)
        max_frames = config.model.max_frames or int(data.lengths.max() * (2 if config.model.position_drift > 1 else 1))
        self.shape = {"num_channels": data.num_channels, "size_px": data.size_px, "max_frames": max_frames}
        self.network = new_network(config.model, seed, **self.shape).to(self.device)
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self.optimizer = kind(self.network.parameters(), lr=config.rate(0), weight_decay=config.weight_decay)
        self.history = [Epoch(**epoch) for epoch in load_state(checkpoints, self.network, self.optimizer)]
        if self.history:
            log.info("resumed after epoch %d of %d", len(self.history), config.epochs)

    def run(self, on_step=lambda frames, loss: None) -> Iterator[Epoch]:
        """Train the epochs that remain; on_step(frames, loss) is called after each step, for progress."""
        for epoch in range(len(self.history), self.config.epochs):
            self.history.append(self._epoch(epoch, on_step))
            save_state(self.checkpoints, self.network, self.optimizer, [vars(e) for e in self.history])
            yield self.history[-1]

    def _epoch(self, epoch: int, on_step) -> Epoch:
        rng = np.random.default_rng([self.seed, epoch])
        torch.manual_seed(rng.integers(2**31))
        self.network.train()
        losses, real, padded = [], 0, 0
        rate = self.optimizer.param_groups[0]["lr"] = self.config.rate(epoch)
        for batch in batches(self.data.lengths, self.config.passes_per_epoch, self.config.batch_size, rng):
            original, augmented, index = self._sample(batch, rng)
            loss = self._step(original, augmented, index)
            losses.append(loss * len(batch))
            frames = len(original.frames) + len(augmented.frames)
            real += frames
            padded += sum(len(s.lengths) * int(s.lengths.max()) for s in (original, augmented)) - frames
            on_step(frames, loss)
        mean = sum(losses) / (len(self.data.videos) * self.config.passes_per_epoch)
        if not math.isfinite(mean):
            raise InputError(f"Expected a finite loss, but got {mean} in epoch {epoch}. Lower learning_rate.")
        return Epoch(epoch, mean, rate, real, padded / (real + padded))

    def _step(self, original: Sequences, augmented: Sequences, index: torch.Tensor) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            z, z_augmented = self.network(original, augmented)
        keep = original.keep if self.config.model.masks else torch.ones_like(original.keep)
        loss = regression_matching_loss(z, z_augmented, index, keep, augmented.keep, self.config.loss)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        return loss.item()

    def _sample(self, batch: np.ndarray, rng: np.random.Generator) -> tuple[Sequences, Sequences, torch.Tensor]:
        """The originals of a batch, one augmented version of each, and i_gt (B, N)."""
        data, videos = self.data, [self.data.videos[i] for i in batch]
        drawn = [
            augment(v.uv, v.confidence, v.px_per_cell, data.skeleton, data.size_px, self.config.augmentation, rng)
            for v in videos
        ]
        original = torch.from_numpy(np.concatenate([v.heatmaps for v in videos]))
        arrays = (
            np.concatenate([d.uv for d in drawn]),
            np.concatenate([d.confidence for d in drawn]),
            data.skeleton.limb_index,
            np.concatenate([np.tile(v.sigma, (len(d.uv), 1)) for v, d in zip(videos, drawn, strict=True)]),
        )
        if self.device.type == "cpu":
            rendered = torch.from_numpy(render(*arrays, data.size_px, data.channels))
        else:
            maps = render_torch(*(torch.from_numpy(a).to(self.device) for a in arrays), data.size_px, data.channels)
            rendered = (maps * 255).round().to(torch.uint8)
        index = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(d.index) for d in drawn], batch_first=True)
        return (
            Sequences(original.to(self.device), torch.tensor([len(v.heatmaps) for v in videos])),
            Sequences(rendered, torch.tensor([len(d.uv) for d in drawn])),
            index.to(self.device),
        )


def train_dataset(poses: Path, heatmaps: Path, path: Path, config: TrainConfig, progress: Progress) -> dict:
    """Train every action and seed of a data set: `path`/<action>/seed_<seed>.safetensors and .json, and loss.csv.

    Networks and epochs that an interrupted run finished are kept. Returns counts for the summary line.
    """
    sequences, store = read_sequences(poses), HeatmapStore(heatmaps, poses)
    made_from = {"poses": poses, "heatmaps": heatmaps}
    inputs = {name: content_hash(source) for name, source in made_from.items()}
    partial = open_partial(path, {"config": config.model_dump(mode="json"), **inputs})
    curves = []
    for action in dict.fromkeys(sequences.actions):
        data = load_training_set(sequences, store, action)
        for seed in config.seeds:
            curves += [
                (action, seed, epoch) for epoch in _train(data, config, seed, partial / action, action, progress)
            ]
    with (partial / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["action", "seed", "epoch", "loss", "learning_rate", "padded_share"])
        for action, seed, e in curves:
            table.writerow([action, seed, e.epoch, f"{e.loss:.6g}", f"{e.learning_rate:.6g}", f"{e.padded:.4f}"])
    finish(partial, path, made_from)
    frames = sum(epoch.frames for *_, epoch in curves)
    padded = sum(epoch.padded * epoch.frames for *_, epoch in curves) / frames
    return {"networks": len({curve[:2] for curve in curves}), "frames": frames, "padded": f"{padded:.1%}"}


def _train(
    data: TrainingSet, config: TrainConfig, seed: int, folder: Path, action: str, progress: Progress
) -> list[Epoch]:
    """One network: the epochs that remain, then its final files, then its checkpoints go."""
    path, checkpoints, curve = folder / f"seed_{seed}", folder / f"checkpoints_{seed}", folder / f"curve_{seed}.json"
    if curve.is_file():
        shutil.rmtree(checkpoints, ignore_errors=True)
        return [Epoch(**epoch) for epoch in json.loads(curve.read_text(encoding="utf-8"))]
    trainer = Trainer(data, config, seed, checkpoints)
    frames_per_epoch = 2 * int(data.lengths.sum()) * config.passes_per_epoch
    task = progress.add_task(f"{action} seed {seed}", total=frames_per_epoch * config.epochs)
    progress.advance(task, frames_per_epoch * len(trainer.history))
    for epoch in trainer.run(lambda frames, loss: progress.advance(task, frames)):
        log.info(
            "%s seed %d epoch %d/%d: loss %.3f frames^2, padded %.1f %%",
            action,
            seed,
            epoch.epoch + 1,
            config.epochs,
            epoch.loss,
            100 * epoch.padded,
        )
    save_network(trainer.network, trainer.shape, seed, path)
    write_json(curve, [vars(epoch) for epoch in trainer.history])
    shutil.rmtree(checkpoints)
    return trainer.history
