"""Evaluate one data set: embed its videos, score every system and its controls action by action, write the long table."""

import json
import logging
import os
import pickle
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial as bound
from itertools import chain
from pathlib import Path

import numpy as np
from rich.progress import Progress

from pipeline.checkpoint import architecture, load_network
from pipeline.config import InputError
from pipeline.device import pick_device
from pipeline.embedding import embed
from pipeline.evaluation import EvaluateConfig, Evaluation, evaluate, evaluate_aligner, evaluate_majority
from pipeline.inputs import OWN, STORES, UNTRAINED, Input, label
from pipeline.metrics.aligners import ALIGNERS
from pipeline.metrics.clips import Clips, labelled_clips
from pipeline.metrics.clock import break_clock, warp_clips
from pipeline.metrics.controls import raw_pose, raw_rgb, time_only
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths, Stores
from pipeline.store import check, content_hash, finish, open_partial, write_json
from pipeline.summaries import fusion_minus_parts, load_scores, mean_over_actions, minus, rounded, summaries
from pipeline.table import (
    ALL_ACTIONS,
    VARIANTS,
    is_trained,
    method_and_input,
    system,
    write_rows,
)
from pipeline.wording import CALLED, systems

log = logging.getLogger(__name__)

FEW_VIDEOS = 5
KEPT = "kept"  # evaluations of single systems, until all are done


@dataclass(frozen=True)
class Features:
    """Frame features (F, D) of the training videos, and of the validation videos plain and clock-broken."""

    train: np.ndarray
    plain: np.ndarray
    clock_broken: np.ndarray


@dataclass(frozen=True)
class Contender:
    """One system with a seed, as `pipeline.table.system` names it; its features are made when they are asked for."""

    system: str
    seed: int
    features: Callable[[], Features]


class ActionEvaluation:
    """The validation of one action: the same frames, plain and clock-broken, for every system.

    shown: the stores that validation videos are taken from; of the same sequences as `stores`.
    """

    def __init__(self, stores: Stores, shown: Stores, action: str, config: EvaluateConfig):
        for one, other in zip(
            *((each.sequences.names, each.sequences.offsets) for each in (stores, shown)), strict=True
        ):
            if len(one) != len(other) or (np.asarray(one) != np.asarray(other)).any():
                raise InputError(
                    f"Expected the same sequences in both stores of {stores.sequences.dataset!r}, but some were left out of one."
                )
        # Actions are different videos, so they get different resamples and windows.
        self.config = config.model_copy(update={"seed": zlib.crc32(f"{config.seed} {action}".encode())})
        self.stores, self.sequences, self.action = {"train": stores, "val": shown}, stores.sequences, action
        self.numbers = {split: self.sequences.where(action, split) for split in ("train", "val")}
        self.train = labelled_clips(self.sequences, self.numbers["train"])
        self.val = labelled_clips(self.sequences, self.numbers["val"])
        self.indices = break_clock(self.val.lengths, self.config.seed)
        self.broken = warp_clips(self.val, self.indices)
        self.source = np.concatenate([o + i for o, i in zip(self.val.offsets, self.indices, strict=False)])

    def controls(self) -> Iterator[Contender]:
        """Time only and raw pose; raw pictures where there are any."""
        yield Contender("time_only", 0, self._time_only)
        yield Contender("raw_pose", 0, bound(self._raw, self._raw_pose))
        if all(stores.frames for stores in self.stores.values()):
            yield Contender("raw_rgb", 0, bound(self._raw, self._raw_rgb))

    def embeddings(
        self, method: str, modalities: Input, networks: dict[int, Path], control: str | None
    ) -> Iterator[Contender]:
        """The trained networks of a method on an input, of every seed; as `control` also what they were before training."""
        sources = {split: load_modalities(modalities, stores).values() for split, stores in self.stores.items()}

        def fetch(split: str, i: int) -> tuple[np.ndarray, ...]:
            return tuple(source.original(self.numbers[split][i]) for source in sources[split])

        def fetch_broken(i: int) -> tuple[np.ndarray, ...]:
            n = self.numbers["val"][i]
            return tuple(source.original(n, self.indices[i]) for source in sources["val"])

        def embedded(path: Path, trained: bool) -> Features:
            network = load_network(path, trained).to(pick_device())
            train, plain = (
                embed(network, clips.lengths, bound(fetch, split))
                for split, clips in (("train", self.train), ("val", self.val))
            )
            broken = embed(network, self.broken.lengths, fetch_broken)
            return Features(*(np.concatenate(group) for group in (train, plain, broken)))

        for seed, path in networks.items():
            for name in (method, control) if control else (method,):
                yield Contender(system(name, label(modalities)), seed, bound(embedded, path, name == method))

    def score(self, features: Features) -> Evaluation:
        """Every metric of one system, on both variants."""
        return evaluate(replace(self.train, features=features.train), self._variants(features), self.config)

    def score_aligner(self, name: str, features: Features) -> Evaluation:
        """The metrics of a path through these features."""
        return evaluate_aligner(name, self.train, self._variants(features), self.config)

    def score_majority(self) -> Evaluation:
        return evaluate_majority(self.train, {"plain": self.val, "clock_broken": self.broken}, self.config)

    def _variants(self, features: Features) -> dict[str, Clips]:
        return {
            "plain": replace(self.val, features=features.plain),
            "clock_broken": replace(self.broken, features=features.clock_broken),
        }

    def _time_only(self) -> Features:
        return Features(*(time_only(clips.lengths) for clips in (self.train, self.val, self.broken)))

    def _raw(self, of_split: Callable[[str], np.ndarray]) -> Features:
        train, plain = (of_split(split) for split in ("train", "val"))
        return Features(train, plain, plain[self.source])

    def _raw_rgb(self, split: str) -> np.ndarray:
        frames = self.stores[split].frames
        return np.concatenate([raw_rgb(frames.frames(self.sequences.frames(n))) for n in self.numbers[split]])

    def _raw_pose(self, split: str) -> np.ndarray:
        numbers = self.numbers[split]
        frames = np.concatenate([np.arange(s.start, s.stop) for s in map(self.sequences.frames, numbers)])
        offsets = np.concatenate([[0], np.cumsum(self.sequences.lengths[numbers])])
        sequences = self.stores[split].sequences
        joints, confidence = sequences.joints[frames], sequences.confidence[frames]
        return raw_pose(joints, confidence, self.stores[split].heatmaps.boxes[numbers], offsets)


def evaluate_dataset(
    paths: Paths,
    models: Path,
    fused: Path,
    path: Path,
    config: EvaluateConfig,
    wanted: Mapping[str, Sequence[Input]],
    progress: Progress,
    shown: Paths | None = None,
) -> dict:
    """Write results.csv, details.json, embeddings/ and actions/ for one data set; returns counts for the summary.

    models, fused: networks of one modality, and of several. wanted: method -> its inputs. shown: stores of the same
    sequences, seen otherwise, that validation videos are taken from. What an interrupted run scored is kept.
    """
    seen = {name for inputs in wanted.values() for modalities in inputs for name in modalities}
    modalities = tuple(name for name in STORES if name in seen)
    stores = paths.open(modalities)
    seen_otherwise = stores if shown is None else shown.open(modalities)
    sequences = stores.sequences
    check(models, paths.made_from(modalities))
    check(fused, {"models": models})
    made_from = paths.made_from(modalities) | {"models": models, "fused": fused}
    made_from |= {} if shown is None else {f"shown_{name}": at for name, at in shown.made_from(modalities).items()}
    contents = {name: content_hash(source) for name, source in made_from.items()}
    names = {system(method, label(m)): (method, m) for method, inputs in wanted.items() for m in inputs}
    partial = open_partial(path, {"config": config.model_dump(mode="json"), "systems": list(names), **contents})
    actions = list(dict.fromkeys(sequences.actions))
    task = progress.add_task("evaluate", total=len(actions))
    for folder in ("actions", "embeddings"):
        (partial / folder).mkdir(exist_ok=True)
    for action in actions:
        if not (partial / "actions" / f"{action}.json").is_file():
            networks = {
                each: _networks((fused if len(each[1]) > 1 else models) / action / name) for name, each in names.items()
            }
            _evaluate_action(ActionEvaluation(stores, seen_otherwise, action, config), networks, partial)
        progress.advance(task)
    scores, facts = {}, {}
    for action in actions:
        scores[action] = load_scores(partial / "actions" / f"{action}.npz")
        facts[action] = json.loads((partial / "actions" / f"{action}.json").read_text(encoding="utf-8"))
    notes = sorted({f"{action}: {note}" for action, fact in facts.items() for note in fact["notes"]})
    if len(actions) > 1:
        scores[ALL_ACTIONS], lacking = mean_over_actions(scores)
        notes += lacking
    rows = [
        {
            "dataset": sequences.dataset, "action": action, "method": method, "input": seen,
            "poses": sequences.poses, "metric": metric, "variant": variant, "seed": seed, **score.summary(),
        }
        for action, of_action in scores.items()
        for (name, seed), variants in of_action.items()
        for method, seen in [method_and_input(name)]
        for variant in VARIANTS
        for metric, score in variants[variant].items()
    ]  # fmt: skip
    write_rows(rows, partial / "results.csv")
    details = {
        "dataset": sequences.dataset,
        "poses": sequences.poses,
        "inputs": [label(modalities) for modalities in wanted.get(OWN, ())],
        "systems": list(names),
        "synthetic": sequences.poses == "synthetic",
        "labels": sequences.labels,
        "left_out": sequences.left_out,
        "scores": {action: summaries(of_action) for action, of_action in scores.items()},
        "minus_time_only": {action: minus(of_action, "time_only") for action, of_action in scores.items()},
        "minus_own": {
            action: minus(of_action, OWN) for action, of_action in scores.items() if any(n == OWN for n, _ in of_action)
        },
        "fusion_minus_parts": {action: fusion_minus_parts(of_action) for action, of_action in scores.items()},
        "actions": facts,
        "notes": notes,
    }
    write_json(partial / "details.json", rounded(details))
    shutil.rmtree(partial / KEPT, ignore_errors=True)
    finish(partial, path, made_from)
    return {"systems": ",".join(names), "actions": len(actions), "rows": len(rows), "notes": len(notes)}


def _networks(folder: Path) -> dict[int, Path]:
    """Seed -> network."""
    found = {int(path.stem.removeprefix("seed_")): path for path in folder.glob("seed_*.safetensors")}
    if not found:
        raise InputError(f"Expected the networks of a system, but there is none in {folder}. Run train and fuse again.")
    return dict(sorted(found.items()))


def _evaluate_action(
    action: ActionEvaluation, networks: dict[tuple[str, Input], dict[int, Path]], partial: Path
) -> None:
    """Score every system; the JSON, written last, says that the action is done. Until then each score is kept by itself."""
    evaluations = {}
    kept = partial / KEPT / action.action
    untrained = _untrained(networks)
    control_of = {(methods[0], modalities): control for (control, modalities), methods in untrained.items()}
    embeddings = (action.embeddings(*each, found, control=control_of.get(each)) for each, found in networks.items())
    for contender in chain(action.controls(), *embeddings):
        file = kept / f"{contender.system}_{contender.seed}.pickle"
        if not file.is_file():
            _keep(_scored(action, contender, partial / "embeddings" / action.action), file)
            log.info("%s: scored %s, seed %d", action.action, contender.system, contender.seed)
        evaluations |= pickle.loads(file.read_bytes())  # of this very code: `open_partial` sees to it
    evaluations["majority", 0] = action.score_majority()
    arrays = {
        f"{name}/{seed}/{variant}/{metric}": np.concatenate([[score.value, score.low, score.high], score.replicates])
        for (name, seed), evaluation in evaluations.items()
        for variant, metrics in evaluation.scores.items()
        for metric, score in metrics.items()
    }
    np.savez(partial / "actions" / f"{action.action}.npz", **arrays)
    facts = {
        "train_videos": len(action.train),
        "val_videos": len(action.val),
        "train_frames": len(action.train.phase),
        "val_frames": len(action.val.phase),
        "key_events": list(action.sequences.event_names[action.action]),
        "label_order": list(evaluations["time_only", 0].label_order),
        "methods": {f"{name} seed {seed}": evaluation.details for (name, seed), evaluation in evaluations.items()},
        "notes": [*_notes(action, evaluations), *_notes_of(untrained)],
    }
    write_json(partial / "actions" / f"{action.action}.json", facts)


def _scored(action: ActionEvaluation, contender: Contender, embeddings: Path) -> dict[tuple[str, int], Evaluation]:
    """The evaluation of one system, and of the paths through its features if it is raw poses; a network's go to `embeddings`."""
    features = contender.features()
    found = {(contender.system, contender.seed): action.score(features)}
    if contender.system == "raw_pose":
        found |= {(name, 0): action.score_aligner(name, features) for name in ALIGNERS}
    if is_trained(contender.system):
        folder = embeddings / contender.system
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / f"seed_{contender.seed}.npz",
            names=np.array(action.train.names + action.val.names),
            offsets=np.concatenate([action.train.offsets, action.train.offsets[-1] + action.val.offsets[1:]]),
            features=np.concatenate([features.train, features.plain]),
        )
    return found


def _keep(evaluations: dict[tuple[str, int], Evaluation], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".tmp")
    unfinished.write_bytes(pickle.dumps(evaluations))
    os.replace(unfinished, file)


def _untrained(networks: Mapping[tuple[str, Input], dict[int, Path]]) -> dict[tuple[str, Input], list[str]]:
    """Untrained control and its input -> the methods that it is a control of: those of one architecture.

    It is called `untrained` for LA2DS, or for the first method of an input that LA2DS is not trained on, and after the
    first of its methods else.
    """
    found: dict[tuple[Input, str], list[str]] = {}
    for (method, modalities), of_seeds in sorted(networks.items(), key=lambda each: each[0][0] != OWN):
        found.setdefault((modalities, architecture(next(iter(of_seeds.values())))), []).append(method)
    named: dict[tuple[str, Input], list[str]] = {}
    for (modalities, _), methods in found.items():
        taken = (UNTRAINED, modalities) in named
        named[f"{UNTRAINED} {methods[0]}" if taken else UNTRAINED, modalities] = methods
    return named


def _notes_of(untrained: Mapping[tuple[str, Input], Sequence[str]]) -> list[str]:
    """Which methods an untrained network is a control of, where its name does not say it."""
    return [
        f"{CALLED.get(control, control)} on {label(seen)}: the network of"
        f" {', '.join(CALLED.get(method, method) for method in methods)} before training"
        for (control, seen), methods in untrained.items()
        if len(methods) > 1 or (control == UNTRAINED and methods[0] != OWN)
    ]


def _notes(action: ActionEvaluation, evaluations: dict[tuple[str, int], Evaluation]) -> list[str]:
    """Each note once, with the methods it is about unless that is all of them."""
    methods: dict[str, list[str]] = {}
    for (method, _), evaluation in evaluations.items():
        for note in dict.fromkeys(evaluation.notes):
            methods.setdefault(note, []).append(method)
    every, called = {method for method, _ in evaluations}, systems(method for method, _ in evaluations)
    notes = [
        note if set(about) == every else f"{', '.join(called[each] for each in dict.fromkeys(about))}: {note}"
        for note, about in methods.items()
    ]
    if len(action.val) < FEW_VIDEOS:
        notes.append(f"only {len(action.val)} validation videos: their bootstrap intervals say little")
    return notes
