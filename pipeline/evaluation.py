"""The evaluation protocol for one method and action: every metric, on every variant of the validation videos."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from pipeline.config import Config, InputError
from pipeline.metrics import classification, progression
from pipeline.metrics.bootstrap import Score, bootstrap, mean_over_pairs, mean_over_videos
from pipeline.metrics.clips import Clips, check_features
from pipeline.metrics.controls import majority
from pipeline.metrics.event_error import event_errors
from pipeline.metrics.kendall import pair_taus
from pipeline.metrics.retrieval import frames_to_search, precision_sums


class EvaluateConfig(Config):
    """Defaults are the paper's protocol; `tau_stride` 5 is TCC's and LAV's."""

    label_fractions: tuple[float, ...] = (0.1, 0.5, 1.0)
    tau_stride: int = Field(2, ge=1)
    retrieval_k: tuple[int, ...] = (5, 10, 15)
    event_tolerance: float = Field(0.05, ge=0, le=1)  # share of the clip
    bootstrap_resamples: int = Field(1000, ge=1)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one method scored. A metric that cannot be computed is left out, and a note says why.

    scores: variant -> metric -> Score; acc_*, ap_*, event_error (of the clip) and event_within_* in percent,
    progression (R^2) and tau as they are. details: variant -> JSON-ready side results. label_order: names of the
    training videos in the order in which label fractions take them. notes: one sentence each.
    """

    scores: dict[str, dict[str, Score]]
    details: dict[str, dict]
    label_order: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


class _Evaluator:
    """Collects the scores of one method; each method below adds one metric for every variant."""

    def __init__(self, train: Clips, variants: dict[str, Clips], config: EvaluateConfig):
        self.train, self.variants, self.config = train, variants, config
        self.order = classification.label_order(train, config.seed)
        names = tuple(train.names[n] for n in self.order)
        self.result = Evaluation({name: {} for name in variants}, {name: {} for name in variants}, names)

    def score(self, variant: str, metric: str, estimate: Callable[[np.ndarray], np.ndarray]) -> Score | None:
        num_videos = len(self.variants[variant])
        score = bootstrap(estimate, num_videos, self.config.bootstrap_resamples, self.config.seed)
        if score.finite:
            return score
        self.result.notes.append(f"{metric} ({variant}) left out: too few videos or frames to compare")
        return None

    def add(self, variant: str, metric: str, estimate: Callable[[np.ndarray], np.ndarray]) -> None:
        if score := self.score(variant, metric, estimate):
            self.result.scores[variant][metric] = score

    def add_detail(self, variant: str, metric: str, estimate: Callable[[np.ndarray], np.ndarray]) -> None:
        if score := self.score(variant, metric, estimate):
            self.result.details[variant][metric] = score.summary()

    def labelled_frames(self, fraction: float) -> tuple[np.ndarray, np.ndarray]:
        features, phase, note = classification.labelled_frames(self.train, self.order, fraction)
        if note:
            self.result.notes.append(note)
        if len(np.unique(phase)) == 1:
            self.result.notes.append(f"label fraction {fraction:g} holds only phase {phase[0]}: it is predicted everywhere")
        return features, phase

    def accuracy(self) -> None:
        for fraction in self.config.label_fractions:
            features, phase = self.labelled_frames(fraction)
            metric = f"acc_{100 * fraction:g}"
            predict_svc = classification.fit_svc(features, phase)
            predict_logistic = classification.fit_logistic(features, phase)
            for variant, clips in self.variants.items():
                predicted = predict_svc(clips.features)
                self.add(variant, metric, _percent(classification.count_correct(predicted, clips)))
                if fraction == 1:
                    num_phases = max(self.train.num_phases, clips.num_phases)
                    table = classification.confusion(predicted, clips, num_phases)
                    self.result.details[variant]["confusion"] = table.tolist()
                predicted = predict_logistic(clips.features)
                self.add_detail(variant, f"{metric}_logistic", _percent(classification.count_correct(predicted, clips)))

    def majority_accuracy(self) -> None:
        for fraction in self.config.label_fractions:
            most = majority(self.labelled_frames(fraction)[1])
            for variant, clips in self.variants.items():
                predicted = np.full(len(clips.phase), most)
                counts = classification.count_correct(predicted, clips)
                self.add(variant, f"acc_{100 * fraction:g}", _percent(counts))

    def progression(self) -> None:
        model = progression.fit_progression(self.train)
        for variant, clips in self.variants.items():
            estimate = progression.r_squared(model, clips)
            self.add(variant, "progression", lambda weights, estimate=estimate: estimate(weights).mean(axis=1))
            per_event = estimate(np.ones((1, len(clips))))[0]
            self.result.details[variant]["progression_per_event"] = [
                float(value) if np.isfinite(value) else None for value in per_event
            ]

    def tau(self) -> None:
        for variant, clips in self.variants.items():
            taus, undefined = pair_taus(clips, self.config.tau_stride)
            self.add(variant, "tau", mean_over_pairs(taus, np.ones_like(taus)))
            self.result.details[variant] |= {"tau_pairs": len(clips) * (len(clips) - 1), "tau_nan_pairs": undefined}

    def retrieval(self) -> None:
        for variant, clips in self.variants.items():
            most = frames_to_search(clips)
            ks = tuple(k for k in self.config.retrieval_k if k <= most)
            for k in self.config.retrieval_k:
                if k > most:
                    note = f"ap_{k} ({variant}) left out: only {most} labelled frames in the other videos of some query"
                    self.result.notes.append(note)
            if ks:
                sums, counts = precision_sums(clips, ks)
                for k, column in zip(ks, sums.T, strict=True):
                    self.add(variant, f"ap_{k}", _percent((column, counts)))

    def event_error(self) -> None:
        for variant, clips in self.variants.items():
            errors = event_errors(clips, self.config.event_tolerance)
            metric = f"event_within_{100 * self.config.event_tolerance:g}"
            self.add(variant, "event_error", mean_over_pairs(errors.percent, errors.count))
            self.add(variant, metric, mean_over_pairs(100 * errors.within, errors.count))
            self.add_detail(variant, "event_error_ms", mean_over_pairs(errors.ms, errors.count))
            self.result.details[variant]["event_pairs"] = int(errors.count.sum() - np.trace(errors.count))


def _percent(sums_and_counts: tuple[np.ndarray, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    sums, counts = sums_and_counts
    return mean_over_videos(100 * sums, counts)
