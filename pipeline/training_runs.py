"""The networks of a data set: stage one, an encoder of each modality alone, and stage two, those of an input fused.

`path`/<action>/<system>/seed_<seed>.safetensors and .json for each network, and one loss.csv. A network is trained once:
it is kept in a folder of runs under a key that says all it depends on, and whoever wants the same one, another table or a
data set with one more method, takes it from there. Several processes can share the folder; each run is made by one of them.
"""

import csv
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.progress import Progress

from pipeline.checkpoint import join_networks, save_network
from pipeline.code import code_hash
from pipeline.config import InputError
from pipeline.device import pick_device
from pipeline.inputs import label
from pipeline.methods import System, encoders, modalities_of
from pipeline.modalities.stores import Paths, Stores
from pipeline.models.network import AlignmentNetwork
from pipeline.store import check, content_hash, finish, partial_path, write_json
from pipeline.training import Epoch, Schedule, TrainConfig, Trainer, new_encoder
from pipeline.training_set import TrainingSet, load_training_set

log = logging.getLogger(__name__)

COLUMNS = ("action", "method", "input", "seed", "epoch", "loss", "learning_rate", "padded_share")
OF_ALL_STAGES = {"augmentation", "objective"}  # what stage two takes from the preset, besides the device


@dataclass(frozen=True)
class Run:
    """One network to train: `start` makes it, with the seed's initial weights or those of stage one.

    config, preset: as of `Trainer`. parts: content of the encoders that stage two starts from.
    """

    action: str
    system: System
    seed: int
    config: Schedule
    preset: TrainConfig
    start: Callable[[TrainingSet], AlignmentNetwork]
    parts: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return f"{self.action}/{self.system.name}"

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.action} {self.system.name} seed {self.seed}"

    def key(self, stores: dict[str, str]) -> str:
        """What the network depends on, and nothing else, as a short hash. stores: name -> content."""
        device = pick_device(self.preset.device).type
        facts = {
            "action": self.action,
            "modalities": self.system.modalities,
            "seed": self.seed,
            "config": self.config.model_dump(mode="json", exclude={"seeds", "device", "modalities"}),
            "preset": self.preset.model_dump(mode="json", include=OF_ALL_STAGES) | {"device": device},
            "parts": self.parts,
            "stores": stores,
            "code": code_hash(("pipeline.training", f"pipeline.objectives.{self.preset.objective.name}")),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def train_dataset(paths: Paths, path: Path, kept: Path, systems: Sequence[System], progress: Progress) -> dict:
    """Stage one: an encoder for each action, method, modality and seed. Returns counts for the summary line.

    kept: the folder of runs, in which networks and epochs of earlier and of interrupted runs are found.
    """
    modalities = modalities_of(systems)
    return _train_all(paths, modalities, path, kept, _stage_one(systems), paths.made_from(modalities), progress)


def train_encoders(paths: Paths, kept: Path, systems: Sequence[System], progress: Progress) -> None:
    """Stage one as far as `kept`: what several processes can share."""
    _found_or_trained(paths, modalities_of(systems), kept, _stage_one(systems), progress)


def _stage_one(systems: Sequence[System]) -> Callable[[str], list[Run]]:
    """The runs of an action."""

    def run(action: str, each: System, seed: int) -> Run:
        (modality,) = each.modalities
        own = each.config.of(modality)
        return Run(action, each, seed, own, own, lambda data: new_encoder(data, modality, own.model, seed))

    return lambda action: [run(action, each, seed) for each in encoders(systems) for seed in each.config.seeds]


def fuse_dataset(
    paths: Paths, models: Path, path: Path, kept: Path, systems: Sequence[System], progress: Progress
) -> dict:
    """Stage two: for each action, system of several modalities and seed, the encoders of stage one trained jointly.

    models: what `train_dataset` wrote. kept: as there. Without such systems only an empty loss.csv is written.
    """
    modalities = modalities_of(systems)
    made_from = paths.made_from(modalities) | {"models": models}
    check(models, paths.made_from(modalities))

    def run(action: str, each: System, seed: int) -> Run:
        parts = {
            alone.modalities[0]: models / action / alone.name / f"seed_{seed}.safetensors" for alone in encoders([each])
        }
        for part in parts.values():
            if not part.is_file():
                raise InputError(f"Expected an encoder of stage one, but there is none at {part}. Run train again.")
        files = [file for part in parts.values() for file in (part, part.with_suffix(".json"))]
        contents = tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
        stems = {name: part.with_suffix("") for name, part in parts.items()}
        return Run(action, each, seed, each.fusion, each.config, lambda data: join_networks(stems, seed), contents)

    def runs(action: str) -> list[Run]:
        return [run(action, each, seed) for each in systems for seed in each.config.seeds]

    return _train_all(paths, modalities, path, kept, runs, made_from, progress)


def _train_all(
    paths: Paths,
    modalities: Sequence[str],
    path: Path,
    kept: Path,
    runs: Callable[[str], list[Run]],
    made_from: dict[str, Path],
    progress: Progress,
) -> dict:
    curves = _found_or_trained(paths, modalities, kept, runs, progress)
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for run, (folder, _) in curves:
        (partial / run.folder).mkdir(parents=True, exist_ok=True)
        for suffix in (".safetensors", ".json"):
            shutil.copyfile(folder / f"network{suffix}", partial / run.folder / f"seed_{run.seed}{suffix}")
    with (partial / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for run, (_, history) in curves:
            for e in history:
                values = (f"{e.loss:.6g}", f"{e.learning_rate:.6g}", f"{e.padded:.4f}")
                names = (run.action, run.system.method, label(run.system.modalities), run.seed)
                table.writerow([*names, e.epoch, *values])
    finish(partial, path, made_from)
    epochs = [epoch for _, (_, history) in curves for epoch in history]
    frames = sum(epoch.frames for epoch in epochs)
    padded = sum(epoch.padded * epoch.frames for epoch in epochs) / max(frames, 1)
    return {"networks": len(curves), "frames": frames, "padded": f"{padded:.1%}"}


def _found_or_trained(
    paths: Paths, modalities: Sequence[str], kept: Path, runs: Callable[[str], list[Run]], progress: Progress
) -> list[tuple[Run, tuple[Path, list[Epoch]]]]:
    """Every run with its folder and epochs; says how many had to be trained."""
    stores = paths.open(modalities)
    wanted = [run for action in dict.fromkeys(stores.sequences.actions) for run in runs(action)]
    trained: list[Run] = []

    def do(run: Run, wait: bool):
        return _kept(run, stores, paths, kept, wait, progress, trained.append)

    curves = _each_once(wanted, do)
    if trained:
        log.info("%d networks trained, %d taken from %s", len(trained), len(wanted) - len(trained), kept)
    return curves


def _each_once(wanted: Iterable[Run], do: Callable[[Run, bool], tuple[Path, list[Epoch]] | None]) -> list:
    """(run, what `do` gave) of each, in order. Runs that another process is at come last, and are waited for."""
    wanted = list(wanted)
    done = {number: found for number, run in enumerate(wanted) if (found := do(run, False))}
    for number, run in enumerate(wanted):
        if number not in done:
            done[number] = do(run, True)
    return [(run, done[number]) for number, run in enumerate(wanted)]


def _kept(
    run: Run, stores: Stores, paths: Paths, kept: Path, wait: bool, progress: Progress, trained: Callable[[Run], None]
) -> tuple[Path, list[Epoch]] | None:
    """The folder of a run and its epochs, trained now (which calls `trained`) unless it was before.

    None if another process is at it, unless `wait`.
    """
    kept.mkdir(parents=True, exist_ok=True)
    seen = paths.made_from(run.system.modalities)  # not what other systems see besides
    folder = kept / run.key({name: content_hash(source) for name, source in seen.items()})
    curve = folder / "curve.json"
    if not curve.is_file():
        lock = FileLock(folder.with_suffix(".lock"), timeout=-1 if wait else 0)
        if wait:
            log.info("%s: taken when another process has trained it", run.name)
        try:
            with lock:
                if not curve.is_file():
                    data = load_training_set(stores, run.action, run.system.modalities)
                    try:
                        _train(data, run, partial_path(folder), progress)
                    except InputError as error:
                        error.args = (f"{run.name}: {error}",)
                        raise
                    partial_path(folder).rename(folder)
                    shutil.rmtree(folder / "checkpoints")
                    trained(run)
        except Timeout:
            return None
    return folder, [Epoch(**epoch) for epoch in json.loads(curve.read_text(encoding="utf-8"))]


def _train(data: TrainingSet, run: Run, folder: Path, progress: Progress) -> None:
    """One network: the epochs that remain, then its final files, then its checkpoints go."""
    config, checkpoints = run.config, folder / "checkpoints"
    trainer = Trainer(data, run.start(data), config, run.preset, run.seed, checkpoints)
    if trainer.history:
        log.info("%s: resumed after epoch %d of %d", run.name, len(trainer.history), config.epochs)
    frames_per_epoch = 2 * int(data.lengths.sum()) * config.passes_per_epoch
    task = progress.add_task(run.name, total=frames_per_epoch * config.epochs)
    progress.advance(task, frames_per_epoch * len(trainer.history))
    for epoch in trainer.run(lambda frames, loss: progress.advance(task, frames)):
        told = (run.name, epoch.epoch + 1, config.epochs, epoch.loss, 100 * epoch.padded)
        log.info("%s epoch %d/%d: loss %.4g, padded %.1f %%", *told)
    save_network(trainer.network, run.seed, folder / "network")
    write_json(folder / "curve.json", [vars(epoch) for epoch in trainer.history])
