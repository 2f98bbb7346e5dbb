"""The networks of a data set: stage one, an encoder of each modality alone, and stage two, those of an input fused.

`path`/<action>/<input>/seed_<seed>.safetensors and .json for each network, and one loss.csv.
"""

import csv
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from pipeline.checkpoint import join_networks, new_network, save_network
from pipeline.config import InputError
from pipeline.inputs import STORES, label
from pipeline.modalities.stores import Paths
from pipeline.models.network import AlignmentNetwork, BranchSpec
from pipeline.store import check, content_hash, finish, open_partial, write_json
from pipeline.training import Epoch, FusionConfig, Schedule, TrainConfig, Trainer
from pipeline.training_set import TrainingSet, load_training_set

log = logging.getLogger(__name__)

COLUMNS = ("action", "input", "seed", "epoch", "loss", "learning_rate", "padded_share")


@dataclass(frozen=True)
class Run:
    """One network to train: `start` makes it, with the seed's initial weights or those of stage one.

    config, preset: as of `Trainer`.
    """

    modalities: tuple[str, ...]
    seed: int
    config: Schedule
    preset: TrainConfig
    start: Callable[[TrainingSet], AlignmentNetwork]

    @property
    def input(self) -> str:
        return label(self.modalities)


def train_dataset(paths: Paths, path: Path, config: TrainConfig, modalities: Sequence[str], progress: Progress) -> dict:
    """Stage one: an encoder for each action, modality and seed. Returns counts for the summary line.

    Networks and epochs that an interrupted run finished are kept.
    """

    def run(modality: str, seed: int) -> Run:
        own = config.of(modality)

        def start(data: TrainingSet) -> AlignmentNetwork:
            longest = int(data.lengths.max())
            # Drifting positions need room to drift in.
            max_frames = own.model.max_frames or longest * (2 if own.model.position_drift > 1 else 1)
            model = own.model.model_copy(update={"max_frames": max_frames})
            spec = BranchSpec(model, data.modalities[modality].shape)
            return new_network({modality: spec}, max_frames, seed)

        return Run((modality,), seed, own, own, start)

    def runs(action: str) -> list[Run]:
        return [run(modality, seed) for modality in modalities for seed in config.seeds]

    made_from = paths.made_from(modalities)
    fingerprint = {"config": config.model_dump(mode="json"), "modalities": list(modalities)}
    return _train_all(paths, modalities, path, runs, fingerprint, made_from, progress)


def fuse_dataset(
    paths: Paths,
    models: Path,
    path: Path,
    config: FusionConfig,
    preset: TrainConfig,
    inputs: Sequence[tuple[str, ...]],
    progress: Progress,
) -> dict:
    """Stage two: for each action, input of several modalities and seed, the encoders of stage one trained jointly.

    models: what `train_dataset` wrote. Without such inputs only an empty loss.csv is written.
    """
    modalities = tuple(name for name in STORES if any(name in modalities for modalities in inputs))
    made_from = paths.made_from(modalities) | {"models": models}
    check(models, paths.made_from(modalities))

    def run(action: str, names: tuple[str, ...], seed: int) -> Run:
        encoders = {name: models / action / name / f"seed_{seed}" for name in names}
        for path in encoders.values():
            if not path.with_suffix(".safetensors").is_file():
                raise InputError(f"Expected an encoder of stage one, but there is none at {path}. Run train again.")
        return Run(names, seed, config, preset, lambda data: join_networks(encoders, seed))

    def runs(action: str) -> list[Run]:
        return [run(action, names, seed) for names in inputs for seed in preset.seeds]

    fingerprint = {"config": config.model_dump(mode="json"), "preset": preset.model_dump(mode="json")}
    fingerprint |= {"inputs": [list(names) for names in inputs]}
    return _train_all(paths, modalities, path, runs, fingerprint, made_from, progress)


def _train_all(
    paths: Paths,
    modalities: Sequence[str],
    path: Path,
    runs: Callable[[str], list[Run]],
    fingerprint: dict,
    made_from: dict[str, Path],
    progress: Progress,
) -> dict:
    stores = paths.open(modalities)
    inputs = {name: content_hash(source) for name, source in made_from.items()}
    partial = open_partial(path, fingerprint | inputs)
    curves: list[tuple[str, Run, Epoch]] = []
    for action in dict.fromkeys(stores.sequences.actions):
        for run in runs(action):
            data = load_training_set(stores, action, run.modalities)
            history = _train(data, run, partial / action / run.input, action, progress)
            curves += [(action, run, epoch) for epoch in history]
    with (partial / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for action, run, e in curves:
            values = (f"{e.loss:.6g}", f"{e.learning_rate:.6g}", f"{e.padded:.4f}")
            table.writerow([action, run.input, run.seed, e.epoch, *values])
    finish(partial, path, made_from)
    frames = sum(epoch.frames for *_, epoch in curves)
    padded = sum(epoch.padded * epoch.frames for *_, epoch in curves) / max(frames, 1)
    networks = len({(action, run.input, run.seed) for action, run, _ in curves})
    return {"networks": networks, "frames": frames, "padded": f"{padded:.1%}"}


def _train(data: TrainingSet, run: Run, folder: Path, action: str, progress: Progress) -> list[Epoch]:
    """One network: the epochs that remain, then its final files, then its checkpoints go."""
    seed, config = run.seed, run.config
    path, checkpoints, curve = folder / f"seed_{seed}", folder / f"checkpoints_{seed}", folder / f"curve_{seed}.json"
    if curve.is_file():
        shutil.rmtree(checkpoints, ignore_errors=True)
        return [Epoch(**epoch) for epoch in json.loads(curve.read_text(encoding="utf-8"))]
    trainer = Trainer(data, run.start(data), config, run.preset, seed, checkpoints)
    name = f"{action} {run.input} seed {seed}"
    frames_per_epoch = 2 * int(data.lengths.sum()) * config.passes_per_epoch
    task = progress.add_task(name, total=frames_per_epoch * config.epochs)
    progress.advance(task, frames_per_epoch * len(trainer.history))
    for epoch in trainer.run(lambda frames, loss: progress.advance(task, frames)):
        told = (name, epoch.epoch + 1, config.epochs, epoch.loss, 100 * epoch.padded)
        log.info("%s epoch %d/%d: loss %.3f frames^2, padded %.1f %%", *told)
    save_network(trainer.network, seed, path)
    write_json(curve, [vars(epoch) for epoch in trainer.history])
    shutil.rmtree(checkpoints)
    return trainer.history
