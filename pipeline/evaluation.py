"""The evaluation protocol for one method and action: every metric, on every variant of the validation videos."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Config
from pipeline.metrics import classification, progression
from pipeline.metrics.aligners import ALIGNERS
from pipeline.metrics.bootstrap import Score, bootstrap, mean_over_pairs, mean_over_videos
from pipeline.metrics.clips import Clips, check_features
from pipeline.metrics.controls import majority
from pipeline.metrics.event_error import event_errors
from pipeline.metrics.kendall import Match, nearest_among, pair_taus
from pipeline.metrics.retrieval import frames_to_search, precision_sums


class EvaluateConfig(Config):
    """Defaults are the paper's protocol; `tau_stride` 5 is TCC's and LAV's."""

    label_fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.1, 0.5, 1.0)
    tau_stride: int = Field(2, ge=1)
    retrieval_k: tuple[Annotated[int, Field(ge=1)], ...] = (5, 10, 15)
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


Estimate = Callable[[np.ndarray], np.ndarray]


def evaluate(train: Clips, variants: dict[str, Clips], config: EvaluateConfig) -> Evaluation:
    """Score frozen features: classifiers and regressors are fitted once on `train`, then every variant is scored.

    variants: name -> validation clips, the same videos in the same order, e.g. plain and clock_broken. Unlabelled clips
    get tau only; labels without key events may repeat, so they get no progression, tau or event error.
    Raises InputError for a feature that is not finite.
    """
    for name, clips in {"training": train, **variants}.items():
        check_features(clips, f"the {name} clips")
    run = _Run(train, variants, config)
    if run.labelled:
        run.accuracy()
        run.retrieval()
        if train.num_events:
            run.progression()
    run.alignment()
    return run.result


def evaluate_aligner(name: str, train: Clips, variants: dict[str, Clips], config: EvaluateConfig) -> Evaluation:
    """Score a classical aligner, a name of `ALIGNERS`, over the features of the variants: event error and tau.

    Pairs, events, strided frames and resamples are those of `evaluate`, so that differences between them are paired.
    The features of `train` are unused. A path never goes back, so its tau is near 1 by construction.
    Raises InputError for a feature that is not finite.
    """
    for variant, clips in variants.items():
        check_features(clips, f"the {variant} clips")
    run = _Run(train, variants, config)
    run.alignment(ALIGNERS[name])
    return run.result


def evaluate_majority(train: Clips, variants: dict[str, Clips], config: EvaluateConfig) -> Evaluation:
    """The control that predicts the most frequent training phase; accuracy only, features unused."""
    run = _Run(train, variants, config)
    if run.labelled:
        run.majority_accuracy()
    else:
        run.result.notes.append("no phase labels: no majority class")
    return run.result


class _Run:
    """One method being scored: each method below adds one metric of every variant to the result."""

    def __init__(self, train: Clips, variants: dict[str, Clips], config: EvaluateConfig):
        self.train, self.variants, self.config = train, variants, config
        self.order = classification.label_order(train, config.seed)
        names = tuple(train.names[n] for n in self.order)
        self.result = Evaluation({name: {} for name in variants}, {name: {} for name in variants}, names)
        self.labelled = all(clips.labelled.any() for clips in (train, *variants.values()))

    def score(self, variant: str, metric: str, estimate: Estimate) -> Score | None:
        num_videos = len(self.variants[variant])
        score = bootstrap(estimate, num_videos, self.config.bootstrap_resamples, self.config.seed)
        if not score.finite:
            self.result.notes.append(f"{metric} ({variant}) left out: too few videos to compare")
            return None
        return score

    def add(self, variant: str, metric: str, estimate: Estimate) -> None:
        if score := self.score(variant, metric, estimate):
            self.result.scores[variant][metric] = score

    def add_detail(self, variant: str, metric: str, estimate: Estimate) -> None:
        if score := self.score(variant, metric, estimate):
            self.result.details[variant][metric] = score.summary()

    def labelled_frames(self, fraction: float) -> tuple[np.ndarray, np.ndarray]:
        features, phase, note = classification.labelled_frames(self.train, self.order, fraction)
        if note:
            self.result.notes.append(note)
        if len(np.unique(phase)) == 1:
            self.result.notes.append(f"label fraction {fraction:g} holds phase {phase[0]} only, which is predicted")
        return features, phase

    def accuracy(self) -> None:
        for fraction in self.config.label_fractions:
            features, phase = self.labelled_frames(fraction)
            metric = f"acc_{100 * fraction:g}"
            svc, logistic = classification.fit_svc(features, phase), classification.fit_logistic(features, phase)
            for variant, clips in self.variants.items():
                predicted = svc(clips.features)
                self.add(variant, metric, _percent(*classification.count_correct(predicted, clips)))
                counts = classification.count_correct(logistic(clips.features), clips)
                self.add_detail(variant, f"{metric}_logistic", _percent(*counts))
                if fraction == 1:
                    num_phases = max(self.train.num_phases, clips.num_phases)
                    table = classification.confusion(predicted, clips, num_phases)
                    self.result.details[variant]["confusion"] = table.tolist()

    def majority_accuracy(self) -> None:
        for fraction in self.config.label_fractions:
            most = majority(self.labelled_frames(fraction)[1])
            for variant, clips in self.variants.items():
                counts = classification.count_correct(np.full(len(clips.phase), most), clips)
                self.add(variant, f"acc_{100 * fraction:g}", _percent(*counts))

    def retrieval(self) -> None:
        for variant, clips in self.variants.items():
            most = frames_to_search(clips)
            ks = tuple(k for k in self.config.retrieval_k if k <= most)
            for k in self.config.retrieval_k:
                if k > most:
                    self.result.notes.append(f"ap_{k} ({variant}) left out: a query has only {most} frames to search")
            if ks:
                sums, counts = precision_sums(clips, ks)
                for k, column in zip(ks, sums.T, strict=True):
                    self.add(variant, f"ap_{k}", _percent(column, counts))

    def progression(self) -> None:
        model = progression.fit_progression(self.train)
        for variant, clips in self.variants.items():
            estimate = progression.r_squared(model, clips)
            self.add(variant, "progression", lambda weights, estimate=estimate: estimate(weights).mean(axis=1))
            per_event = estimate(np.ones((1, len(clips))))[0].tolist()
            self.result.details[variant]["progression_per_event"] = [
                r2 if np.isfinite(r2) else None for r2 in per_event
            ]

    def alignment(self, match: Match | None = None) -> None:
        """What asks only which frames belong together; by the nearest neighbour where `match` does not say it."""
        if self.labelled and not self.train.num_events:
            self.result.notes.append("labels without key events may repeat: no progression, tau or event error")
            return
        if self.labelled:
            self.event_error(match)
        else:
            self.result.notes.append("no phase labels: tau only")
        self.tau(match or nearest_among)

    def event_error(self, match: Match | None) -> None:
        for variant, clips in self.variants.items():
            errors = event_errors(clips, self.config.event_tolerance, match)
            within = f"event_within_{100 * self.config.event_tolerance:g}"
            self.add(variant, "event_error", mean_over_pairs(errors.percent, errors.count))
            self.add(variant, within, mean_over_pairs(100 * errors.within, errors.count))
            self.add_detail(variant, "event_error_ms", mean_over_pairs(errors.ms, errors.count))
            self.result.details[variant]["event_pairs"] = int(errors.count.sum() - np.trace(errors.count))

    def tau(self, match: Match) -> None:
        for variant, clips in self.variants.items():
            taus, undefined = pair_taus(clips, self.config.tau_stride, match)
            self.add(variant, "tau", mean_over_pairs(taus, np.ones_like(taus)))
            self.result.details[variant] |= {"tau_pairs": len(clips) * (len(clips) - 1), "tau_nan_pairs": undefined}


def _percent(sums: np.ndarray, counts: np.ndarray) -> Estimate:
    return mean_over_videos(100 * sums, counts)
