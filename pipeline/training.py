"""Self-supervised training on the training videos of one action (paper sections 3.3 and 3.4, Table 9).

Stage one trains an encoder of each modality alone; stage two joins the encoders of an input and trains them together.
An epoch is the unit of everything: its random numbers are drawn from (seed, epoch) alone and its state is saved, so
that a run which was killed goes on from the last finished epoch and ends in the same weights.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from pipeline.augmentation import AugmentationConfig
from pipeline.checkpoint import load_state, new_network, save_state
from pipeline.config import Config, InputError, fault, no_such_setting
from pipeline.device import DeviceName, pick_device
from pipeline.inputs import STORES
from pipeline.models.network import AlignmentNetwork, BranchSpec, ModelConfig
from pipeline.objectives.base import ObjectiveSettings, View
from pipeline.objectives.registry import make_objective, parse_objective
from pipeline.training_set import Batch, Sampling, TrainingSet

BUCKETS_PER_SHUFFLE = 16
OF_ALL_MODALITIES = {"seeds", "device", "augmentation", "objective", "modalities"}


class Schedule(Config):
    """Optimisation (method: paper Table 9)."""

    epochs: int = Field(200, gt=0)
    passes_per_epoch: int = Field(50, gt=0)
    batch_size: int = Field(64, gt=0)
    learning_rate: float = Field(3e-3, gt=0)
    milestones: tuple[int, ...] = (30, 40, 50, 60, 70, 80, 90, 100)
    gamma: float = Field(0.5, gt=0)
    gradient_clip: float = Field(0.5, gt=0)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(0.0, ge=0)

    def rate(self, epoch: int) -> float:
        """The learning rate of a 0-based epoch: scaled with the batch as CASA's code does, then MultiStepLR."""
        steps = sum(milestone <= epoch for milestone in self.milestones)
        return self.learning_rate * self.batch_size / 64 * self.gamma**steps


def _objective(settings: Any) -> ObjectiveSettings:
    if isinstance(settings, ObjectiveSettings):
        return settings
    if not isinstance(settings, dict):
        raise ValueError(f"an objective is {{name: ...}} with its settings, got {settings!r}")
    try:
        return parse_objective(settings)
    except ValidationError as error:
        raise ValueError(": ".join(fault(error))) from None


class FusionConfig(Schedule):
    """Stage two: how the encoders of an input are trained jointly, behind a new fusion layer and projection head."""


class TrainConfig(Schedule):
    """A preset: stage one, and the seeds, augmentation and objective of both stages.

    model: of `pose2d`. modalities: what differs in a modality's encoder and schedule, as a part of this very section; both
    stages share the rest.
    """

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    device: DeviceName = "auto"
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    objective: Annotated[SerializeAsAny[ObjectiveSettings], BeforeValidator(_objective)] = Field(
        default_factory=lambda: parse_objective({})
    )
    modalities: dict[str, dict] = Field({"rgb": {"model": {"patch_px": 16}}, "flow": {"model": {"patch_px": 16}}})

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds must differ, got {seeds}")
        return seeds

    @model_validator(mode="after")
    def _modalities_are_right(self) -> Self:
        for name, changes in self.modalities.items():
            if wrong := set(changes) & OF_ALL_MODALITIES or {name} - set(STORES):
                raise ValueError(f"modalities.{name}: {sorted(wrong)} cannot stand here")
            known = set(type(self).model_fields) - OF_ALL_MODALITIES
            if unknown := [key for key in changes if key not in known]:
                raise ValueError(f"modalities.{name}.{unknown[0]}: {no_such_setting(unknown[0], known)}")
            try:
                self.of(name)
            except ValidationError as error:
                raise ValueError(": ".join(fault(error, "modalities", name))) from None
        return self

    def of(self, modality: str) -> "TrainConfig":
        """The settings with which an encoder of this modality is trained."""
        base = self.model_dump(exclude={"modalities"})
        return TrainConfig(**merged(base, self.modalities.get(modality, {})), modalities={})


def merged(base: dict, changes: dict) -> dict:
    """`base` with the changes, deep; settings of something with another `name` take the place of those of the old one."""

    def replaced(old, new):
        both = isinstance(old, dict) and isinstance(new, dict)
        return merged(old, new) if both and new.get("name", old.get("name")) == old.get("name") else new

    return base | {key: replaced(base.get(key), value) for key, value in changes.items()}


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


def new_encoder(data: TrainingSet, modality: str, model: ModelConfig, seed: int) -> AlignmentNetwork:
    """The network that stage one trains, with the initial weights of a seed."""
    longest = int(data.lengths.max())
    # Drifting positions need room to drift in.
    max_frames = model.max_frames or longest * (2 if model.position_drift > 1 else 1)
    source = data.modalities[modality]
    spec = BranchSpec(model.model_copy(update={"max_frames": max_frames}), source.shape, source.limbs)
    return new_network({modality: spec}, max_frames, seed)


class Trainer:
    """One network in training; `run` yields after every epoch.

    config: schedule, a `TrainConfig` or `FusionConfig`. preset: augmentation, objective and device.
    """

    def __init__(
        self,
        data: TrainingSet,
        network: AlignmentNetwork,
        config: Schedule,
        preset: TrainConfig,
        seed: int,
        checkpoints: Path,
    ):
        self.data, self.config, self.preset, self.seed, self.checkpoints = data, config, preset, seed, checkpoints
        self.device = pick_device(preset.device)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = (
            False  # every tensor with NaN first: an eighth of the time
        )
        self.network = network.to(self.device)
        torch.manual_seed(seed)
        self.objective = make_objective(preset.objective, network.width).to(self.device)
        self.how = Sampling(self.objective.pairs, preset.objective.frames)
        self.trained = torch.nn.ModuleDict({"network": self.network, "objective": self.objective})
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        self.optimizer = kind(self.trained.parameters(), lr=config.rate(0), weight_decay=config.weight_decay)
        self.history = [Epoch(**epoch) for epoch in load_state(checkpoints, self.trained, self.optimizer)]

    def run(self, on_step=lambda frames, loss: None) -> Iterator[Epoch]:
        """Train the epochs that remain; on_step(frames, loss) is called after each step, for progress."""
        for epoch in range(len(self.history), self.config.epochs):
            self.history.append(self._epoch(epoch, on_step))
            save_state(self.checkpoints, self.trained, self.optimizer, [vars(e) for e in self.history])
            yield self.history[-1]

    def _epoch(self, epoch: int, on_step) -> Epoch:
        rng = np.random.default_rng([self.seed, epoch])
        torch.manual_seed(rng.integers(2**31))
        self.trained.train()
        losses, real, padded = [], 0, 0
        rate = self.optimizer.param_groups[0]["lr"] = self.config.rate(epoch)
        for batch in batches(self.data.lengths, self.config.passes_per_epoch, self.config.batch_size, rng):
            a, b = self.data.sample(batch, self.how, self.preset.augmentation, rng, self.device)
            loss = self._step(a, b)
            losses.append(loss * len(batch))
            frames = int(a.lengths.sum() + b.lengths.sum())
            real += frames
            padded += sum(len(s.lengths) * int(s.lengths.max()) for s in (a, b)) - frames
            on_step(frames, loss)
        mean = sum(losses) / (len(self.data.videos) * self.config.passes_per_epoch)
        if not math.isfinite(mean):
            raise InputError(
                f"Expected a finite loss, but got {mean} in epoch {epoch + 1}. Lower learning_rate; of an objective of your"
                " own, look for what it divides by."
            )
        return Epoch(epoch, mean, rate, real, padded / (real + padded))

    def _step(self, a: Batch, b: Batch) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            parts = self.network.parts(a.sequences, b.sequences)
            z_a, z_b = (self.network.head(self.network.joined(of_side)) for of_side in parts)
        of_padding = (
            self.objective.pairs == "augmented" and not self.network.masks
        )  # CASA's matches padding of the original
        views = self._view(z_a, parts[0], a, of_padding), self._view(z_b, parts[1], b)
        loss = self.objective(*views)
        if loss.ndim:
            name = self.preset.objective.name
            raise InputError(
                f"Expected a loss of one number, but got a tensor of shape {tuple(loss.shape)} from the objective {name!r}."
                f" Take its mean in pipeline/objectives/{name}.py."
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        return loss.item()

    def _view(self, z: torch.Tensor, parts: tuple[torch.Tensor, ...], batch: Batch, keep_all: bool = False) -> View:
        keep = torch.ones_like(batch.sequences.keep) if keep_all else batch.sequences.keep
        time, num_frames = (each.to(self.device) for each in (batch.time, batch.num_frames))
        return View(z.float(), time, num_frames, keep, tuple(part.float() for part in parts))
