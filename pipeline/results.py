"""Evaluate one data set: embed its videos, score the method and its controls action by action, write the long table."""

import json
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from pipeline.checkpoint import load_network
from pipeline.device import pick_device
from pipeline.embedding import embed
from pipeline.evaluation import EvaluateConfig, Evaluation, evaluate, evaluate_majority
from pipeline.heatmap_store import HeatmapStore
from pipeline.metrics.bootstrap import Score, difference, mean_score
from pipeline.metrics.clips import labelled_clips
from pipeline.metrics.clock import break_clock, warp_clips
from pipeline.metrics.controls import raw_pose, time_only
from pipeline.sequence import PoseSequences, read_sequences
from pipeline.store import check, content_hash, finish, open_partial, write_json
from pipeline.table import ALL_ACTIONS, VARIANTS, write_rows

log = logging.getLogger(__name__)

INPUTS = {"la2ds": "pose2d", "untrained": "pose2d", "raw_pose": "pose2d", "time_only": "time", "majority": "none"}
FEW_VIDEOS = 5
Scores = dict[str, dict[str, Score]]  # variant -> metric -> score


@dataclass(frozen=True)
class Features:
    """One method's frame features of the training videos, and of the validation videos plain and clock-broken."""

    method: str
    seed: int
    train: np.ndarray
    plain: np.ndarray
    clock_broken: np.ndarray


class ActionEvaluation:
    """The validation of one action: the same frames, plain and clock-broken, for every method."""

    def __init__(self, sequences: PoseSequences, store: HeatmapStore, action: str, config: EvaluateConfig):
        # Actions are different videos, so they get different resamples and windows.
        self.config = config.model_copy(update={"seed": zlib.crc32(f"{config.seed} {action}".encode())})
        self.sequences, self.store, self.action = sequences, store, action
        self.numbers = {split: sequences.where(action, split) for split in ("train", "val")}
        self.train = labelled_clips(sequences, self.numbers["train"])
        self.val = labelled_clips(sequences, self.numbers["val"])
        self.indices = break_clock(self.val.lengths, self.config.seed)
        self.broken = warp_clips(self.val, self.indices)
        self.source = np.concatenate([o + i for o, i in zip(self.val.offsets, self.indices, strict=False)])

    def controls(self) -> Iterator[Features]:
        """Time only and raw pose."""
        clips = (self.train, self.val, self.broken)
        yield Features("time_only", 0, *(time_only(c.lengths) for c in clips))
        train, plain = (self._raw_pose(split) for split in ("train", "val"))
        yield Features("raw_pose", 0, train, plain, plain[self.source])

    def embeddings(self, networks: dict[int, Path]) -> Iterator[Features]:
        """The trained networks and the untrained ones, of every seed."""
        videos = {
            split: [self.store.frames(self.sequences.frames(n)) for n in self.numbers[split]] for split in self.numbers
        }
        broken = [video[index] for video, index in zip(videos["val"], self.indices, strict=True)]
        groups = (videos["train"], videos["val"], broken)
        for seed, path in networks.items():
            for method in ("la2ds", "untrained"):
                network = load_network(path, trained=method == "la2ds").to(pick_device())
                yield Features(method, seed, *(np.concatenate(embed(network, group)) for group in groups))

    def score(self, features: Features) -> Evaluation:
        """Every metric of one method, on both variants."""
        variants = {
            "plain": replace(self.val, features=features.plain),
            "clock_broken": replace(self.broken, features=features.clock_broken),
        }
        return evaluate(replace(self.train, features=features.train), variants, self.config)

    def score_majority(self) -> Evaluation:
        return evaluate_majority(self.train, {"plain": self.val, "clock_broken": self.broken}, self.config)

    def _raw_pose(self, split: str) -> np.ndarray:
        numbers = self.numbers[split]
        frames = np.concatenate([np.arange(s.start, s.stop) for s in map(self.sequences.frames, numbers)])
        offsets = np.concatenate([[0], np.cumsum(self.sequences.lengths[numbers])])
        joints, confidence = self.sequences.joints[frames], self.sequences.confidence[frames]
        return raw_pose(joints, confidence, self.store.boxes[numbers], offsets)


def evaluate_dataset(
    poses: Path, heatmaps: Path, models: Path, path: Path, config: EvaluateConfig, progress: Progress
) -> dict:
    """Write results.csv, details.json, embeddings/ and actions/ for one data set; returns counts for the summary.

    Actions that an interrupted run finished are kept.
    """
    sequences, store = read_sequences(poses), HeatmapStore(heatmaps, poses)
    check(models, {"poses": poses, "heatmaps": heatmaps})
    made_from = {"poses": poses, "heatmaps": heatmaps, "models": models}
    inputs = {name: content_hash(source) for name, source in made_from.items()}
    partial = open_partial(path, {"config": config.model_dump(mode="json"), **inputs})
    actions = list(dict.fromkeys(sequences.actions))
    task = progress.add_task("evaluate", total=len(actions))
    for folder in ("actions", "embeddings"):
        (partial / folder).mkdir(exist_ok=True)
    for action in actions:
        if not (partial / "actions" / f"{action}.json").is_file():
            networks = {
                int(p.stem.removeprefix("seed_")): p for p in sorted((models / action).glob("seed_*.safetensors"))
            }
            _evaluate_action(ActionEvaluation(sequences, store, action, config), networks, partial)
        progress.advance(task)
    scores, facts = {}, {}
    for action in actions:
        scores[action] = _load_scores(partial / "actions" / f"{action}.npz")
        facts[action] = json.loads((partial / "actions" / f"{action}.json").read_text(encoding="utf-8"))
    notes = sorted({f"{action}: {note}" for action, fact in facts.items() for note in fact["notes"]})
    if len(actions) > 1:
        scores[ALL_ACTIONS], lacking = _mean_over_actions(scores)
        notes += lacking
    rows = [
        {
            "dataset": sequences.dataset, "action": action, "method": method, "input": INPUTS[method],
            "poses": sequences.poses, "metric": metric, "variant": variant, "seed": seed, **score.summary(),
        }
        for action, of_action in scores.items()
        for (method, seed), variants in of_action.items()
        for variant in VARIANTS
        for metric, score in variants[variant].items()
    ]  # fmt: skip
    write_rows(rows, partial / "results.csv")
    details = {
        "dataset": sequences.dataset,
        "poses": sequences.poses,
        "synthetic": sequences.poses == "synthetic",
        "labels": sequences.labels,
        "left_out": sequences.left_out,
        "scores": {action: _summaries(of_action) for action, of_action in scores.items()},
        "minus_time_only": {action: _minus_time_only(of_action) for action, of_action in scores.items()},
        "actions": facts,
        "notes": notes,
    }
    write_json(partial / "details.json", _rounded(details))
    finish(partial, path, made_from)
    return {"actions": len(actions), "rows": len(rows), "notes": len(notes)}


def _evaluate_action(action: ActionEvaluation, networks: dict[int, Path], partial: Path) -> None:
    """Score every method; the JSON, written last, says that the action is done."""
    evaluations = {}
    for features in (*action.controls(), *action.embeddings(networks)):
        evaluations[features.method, features.seed] = action.score(features)
        if features.method == "la2ds":
            (partial / "embeddings" / action.action).mkdir(exist_ok=True)
            np.savez(
                partial / "embeddings" / action.action / f"seed_{features.seed}.npz",
                names=np.array(action.train.names + action.val.names),
                offsets=np.concatenate([action.train.offsets, action.train.offsets[-1] + action.val.offsets[1:]]),
                features=np.concatenate([features.train, features.plain]),
            )
        log.info("%s: scored %s, seed %d", action.action, features.method, features.seed)
    evaluations["majority", 0] = action.score_majority()
    arrays = {
        f"{method}/{seed}/{variant}/{metric}": np.concatenate([[score.value, score.low, score.high], score.replicates])
        for (method, seed), evaluation in evaluations.items()
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
        "methods": {f"{method} seed {seed}": evaluation.details for (method, seed), evaluation in evaluations.items()},
        "notes": _notes(action, evaluations),
    }
    write_json(partial / "actions" / f"{action.action}.json", facts)


def _notes(action: ActionEvaluation, evaluations: dict[tuple[str, int], Evaluation]) -> list[str]:
    """Each note once, with the methods it is about unless that is all of them."""
    methods: dict[str, list[str]] = {}
    for (method, _), evaluation in evaluations.items():
        for note in dict.fromkeys(evaluation.notes):
            methods.setdefault(note, []).append(method)
    every = {method for method, _ in evaluations}
    notes = [
        note if set(about) == every else f"{', '.join(dict.fromkeys(about))}: {note}" for note, about in methods.items()
    ]
    if len(action.val) < FEW_VIDEOS:
        notes.append(f"only {len(action.val)} validation videos: their bootstrap intervals say little")
    return notes


def _load_scores(path: Path) -> dict[tuple[str, int], Scores]:
    scores: dict[tuple[str, int], Scores] = {}
    with np.load(path) as arrays:
        for key, values in arrays.items():
            method, seed, variant, metric = key.split("/")
            of_method = scores.setdefault((method, int(seed)), {name: {} for name in VARIANTS})
            of_method[variant][metric] = Score(*(float(v) for v in values[:3]), values[3:])
    return scores


def _mean_over_actions(actions: dict[str, dict[tuple[str, int], Scores]]) -> tuple[dict, list[str]]:
    """Each metric's mean over the actions, and a note for each that an action lacks; actions are resampled independently."""
    mean, notes = {}, []
    for method in dict.fromkeys(method for of_action in actions.values() for method in of_action):
        mean[method] = {variant: {} for variant in VARIANTS}
        for variant in VARIANTS:
            found = {name: of_action.get(method, {}).get(variant, {}) for name, of_action in actions.items()}
            for metric in dict.fromkeys(metric for metrics in found.values() for metric in metrics):
                lacking = [name for name, metrics in found.items() if metric not in metrics]
                if lacking:
                    notes.append(f"mean: {method[0]} {metric} ({variant}) left out: {', '.join(lacking)} lack it")
                else:
                    mean[method][variant][metric] = mean_score([metrics[metric] for metrics in found.values()])
    return mean, notes


def _over_seeds(scores: dict[tuple[str, int], Scores]) -> dict[str, Scores]:
    """Each method's mean over seeds, replicate by replicate."""
    result = {}
    for method in dict.fromkeys(method for method, _ in scores):
        seeds = [variants for (name, _), variants in scores.items() if name == method]
        result[method] = {
            variant: {
                metric: mean_score([seed[variant][metric] for seed in seeds])
                for metric in seeds[0][variant]
                if all(metric in seed[variant] for seed in seeds)
            }
            for variant in VARIANTS
        }
    return result


def _summaries(scores: dict[tuple[str, int], Scores]) -> dict:
    """method -> variant -> metric -> value, low, high, and the standard deviation over seeds where there are several."""
    tree = {}
    for method, variants in _over_seeds(scores).items():
        seeds = [of_seed for (name, _), of_seed in scores.items() if name == method]
        tree[method] = {
            variant: {metric: score.summary() for metric, score in variants[variant].items()} for variant in VARIANTS
        }
        if len(seeds) > 1:
            for variant, metrics in tree[method].items():
                for metric, summary in metrics.items():
                    summary["std_over_seeds"] = float(
                        np.std([of_seed[variant][metric].value for of_seed in seeds], ddof=1)
                    )
    return tree


def _minus_time_only(scores: dict[tuple[str, int], Scores]) -> dict:
    """method -> variant -> metric -> paired difference to the time-only control, seeds averaged."""
    means = _over_seeds(scores)
    time = means.pop("time_only")
    return {
        method: {
            variant: {
                m: difference(s, time[variant][m]).summary() for m, s in variants[variant].items() if m in time[variant]
            }
            for variant in VARIANTS
        }
        for method, variants in means.items()
    }


def _rounded(node):
    if isinstance(node, dict):
        return {key: _rounded(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_rounded(value) for value in node]
    return round(node, 6) if isinstance(node, float) else node
