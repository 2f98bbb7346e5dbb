"""Seeded bootstrap over validation videos: how far a score would move with other videos (95 % intervals).

Nothing is refitted: metrics reduce to sums per video, or per pair of videos, that each resample weights anew.
Shapes: N videos, R resamples. Weights (R, N): how often each video was drawn.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Score:
    """A value, its 95 % interval and the (R,) replicates behind it; a replicate without a value is NaN."""

    value: float
    low: float
    high: float
    replicates: np.ndarray

    @property
    def finite(self) -> bool:
        """False where the metric has no value, or too few videos for an interval."""
        return bool(np.isfinite([self.value, self.low, self.high]).all())

    def summary(self) -> dict[str, float]:
        """Value and interval, JSON-ready."""
        return {"value": self.value, "low": self.low, "high": self.high}


def _score(value: float, replicates: np.ndarray) -> Score:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN")
        low, high = np.nanpercentile(replicates, INTERVAL_PERCENT)
    return Score(float(value), float(low), float(high), replicates)


def bootstrap(estimate: Callable[[np.ndarray], np.ndarray], num_videos: int, resamples: int, seed: int) -> Score:
    """The value with every video once, and its percentile interval over multinomial resamples of the videos.

    estimate: weights (R, N) float64 -> (R,). The resamples depend on seed and N alone, so scores of two methods on the
    same videos are paired.
    """
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=resamples).astype(np.float64)
    return _score(estimate(np.ones((1, num_videos)))[0], estimate(weights))


def difference(a: Score, b: Score) -> Score:
    """a - b with the interval of the paired replicates; both from the same seed and videos."""
    return _score(a.value - b.value, a.replicates - b.replicates)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)


def mean_over_videos(sums: np.ndarray, counts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Estimate of sum / count from sums and counts per video, (N,) each; NaN where nothing is counted."""
    return lambda weights: _divide(weights @ sums, weights @ counts)


def mean_over_pairs(sums: np.ndarray, counts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Estimate of sum / count over ordered pairs i != j, weighted w_i * w_j, from (N, N) sums and counts."""
    different = 1.0 - np.eye(len(sums))
    sums, counts = sums * different, counts * different
    return lambda weights: _divide(((weights @ sums) * weights).sum(axis=1), ((weights @ counts) * weights).sum(axis=1))


def mean_score(scores: list[Score]) -> Score:
    """The mean of several scores, replicate by replicate: of seeds on the same videos, or of actions."""
    return _score(np.mean([s.value for s in scores]), np.mean([s.replicates for s in scores], axis=0))
