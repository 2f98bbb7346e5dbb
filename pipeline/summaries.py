"""Scores of several actions and seeds brought together, and made ready for JSON."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.metrics.bootstrap import Score, difference, mean_score
from pipeline.table import VARIANTS, is_trained, method_and_input, system

Scores = dict[str, dict[str, Score]]  # variant -> metric -> score


def load_scores(source: Path | BinaryIO) -> dict[tuple[str, int], Scores]:
    """(system, seed) -> scores of one action, from the actions/<action>.npz that `evaluate_dataset` wrote."""
    scores: dict[tuple[str, int], Scores] = {}
    with np.load(source) as arrays:
        for key, values in arrays.items():
            method, seed, variant, metric = key.split("/")
            of_method = scores.setdefault((method, int(seed)), {name: {} for name in VARIANTS})
            of_method[variant][metric] = Score(*(float(v) for v in values[:3]), values[3:])
    return scores


def mean_over_actions(actions: dict[str, dict[tuple[str, int], Scores]]) -> tuple[dict, list[str]]:
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


def summaries(scores: dict[tuple[str, int], Scores]) -> dict:
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


def minus(scores: dict[tuple[str, int], Scores], reference: str) -> dict:
    """method -> variant -> metric -> paired difference to the reference, seeds averaged."""
    means = _over_seeds(scores)
    base = means.pop(reference)
    return {
        method: {
            variant: {
                m: difference(s, base[variant][m]).summary() for m, s in variants[variant].items() if m in base[variant]
            }
            for variant in VARIANTS
        }
        for method, variants in means.items()
    }


def fusion_minus_parts(scores: dict[tuple[str, int], Scores]) -> dict:
    """system that fuses modalities -> each of its parts that is a system, too -> what `minus` says."""
    known, result = {name for name, _ in scores}, {}
    for name in sorted(known):
        method, seen = method_and_input(name)
        parts = [system(method, part) for part in seen.split("+")] if is_trained(name) and "+" in seen else []
        result |= {name: {part: minus(scores, part)[name] for part in parts if part in known}} if parts else {}
    return result


def rounded(node):
    if isinstance(node, dict):
        return {key: rounded(value) for key, value in node.items()}
    if isinstance(node, list):
        return [rounded(value) for value in node]
    return round(node, 6) if isinstance(node, float) else node
