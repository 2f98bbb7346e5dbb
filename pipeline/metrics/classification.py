"""Phase classification on frozen features: RBF SVC (the paper's protocol) and multinomial logistic regression (CASA's code).

Classifiers are fitted on training frames only, without scaling the features, for a share of the training videos.
"""

import logging
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from pipeline.metrics.clips import Clips, distance_blocks

log = logging.getLogger(__name__)

MAX_ITERATIONS = 1000
Predict = Callable[[np.ndarray], np.ndarray]  # features (F, D) -> phase (F,)


def label_order(train: Clips, seed: int) -> np.ndarray:
    """Indices of the labelled training videos in the fixed, seeded order in which label fractions take them."""
    labelled = np.flatnonzero(train.per_clip(train.labelled))
    return np.random.default_rng(seed).permutation(labelled)


def labelled_frames(train: Clips, order: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Features and phases of the first max(1, floor(fraction * n)) videos of the order, and a note if that is rounded up."""
    wanted = int(fraction * len(order) + 1e-9)  # 0.7 * 10 is 6.999... in binary
    chosen = train.labelled & np.isin(train.clip_of_frame, order[: max(1, wanted)])
    note = None if wanted else f"label fraction {fraction:g} of {len(order)} training videos rounded up to one video"
    return train.features[chosen], train.phase[chosen], note


def fit_svc(features: np.ndarray, phase: np.ndarray) -> Predict:
    """RBF SVC, C = 1, gamma = 1 / (D * variance), one-vs-one. A single phase is predicted everywhere, with a warning."""
    if (only := _only_phase(phase)) is not None:
        return only
    features = features.astype(np.float64)
    variance = features.var()
    gamma = 1 / (features.shape[1] * variance) if variance else 1.0
    svc = SVC(C=1.0, kernel="rbf", gamma=gamma).fit(features, phase)
    return lambda queries: predict_svc(svc, queries)


def predict_svc(svc: SVC, features: np.ndarray) -> np.ndarray:
    """What `svc.predict` returns, with the kernel as one matrix product per block of frames.

    svc: fitted with the RBF kernel and a number for gamma.
    """
    num_classes = len(svc.classes_)
    first, second = np.triu_indices(num_classes, 1)
    # Of a support vector of class i, row j - 1 (j > i) or j (j < i) is its coefficient in the vote between i and j.
    owner = np.repeat(np.arange(num_classes), svc.n_support_)
    pair_coefficients = np.zeros((len(owner), len(first)))
    for pair, (i, j) in enumerate(zip(first, second, strict=True)):
        pair_coefficients[owner == i, pair] = svc.dual_coef_[j - 1, owner == i]
        pair_coefficients[owner == j, pair] = svc.dual_coef_[i, owner == j]
    sign = -1 if num_classes == 2 else 1  # scikit-learn turns the two-class decision towards the second class
    winner_of = np.eye(num_classes, dtype=np.int64)
    predicted = np.empty(len(features), dtype=svc.classes_.dtype)
    for rows, squared in distance_blocks(features, svc.support_vectors_):
        np.exp(np.multiply(squared, -svc.gamma, out=squared), out=squared)
        for_first = sign * (squared @ pair_coefficients + svc.intercept_) > 0
        votes = for_first @ winner_of[first] + ~for_first @ winner_of[second]
        predicted[rows] = svc.classes_[votes.argmax(axis=1)]  # the lowest class wins a tie, as in libsvm
    return predicted


def fit_logistic(features: np.ndarray, phase: np.ndarray) -> Predict:
    """Multinomial logistic regression, C = 1; a fit that stops at 1,000 iterations is used as it is, with a warning."""
    if (only := _only_phase(phase)) is not None:
        return only
    model = LogisticRegression(C=1.0, max_iter=MAX_ITERATIONS)
    # On one thread: its many small products take several times as long where two threads share them.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features.astype(np.float64), phase)
    if model.n_iter_.max() >= MAX_ITERATIONS:
        log.warning("logistic regression stopped after %d iterations without converging", MAX_ITERATIONS)
    return lambda queries: model.predict(queries.astype(np.float64))


def _only_phase(phase: np.ndarray) -> Predict | None:
    found = np.unique(phase)
    if len(found) > 1:
        return None
    log.warning("all labelled training frames are of phase %d: it is predicted everywhere", found[0])
    return lambda queries: np.full(len(queries), found[0])


def count_correct(predicted: np.ndarray, clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    """(N,) correctly classified and (N,) labelled frames of each video, from the phase predicted for each frame (F,)."""
    return clips.per_clip((predicted == clips.phase) & clips.labelled), clips.per_clip(clips.labelled)


def confusion(predicted: np.ndarray, clips: Clips, num_phases: int) -> np.ndarray:
    """(C, C) int64 frames by true phase (rows) and predicted phase (columns)."""
    true, predicted = clips.phase[clips.labelled].astype(np.int64), predicted[clips.labelled]
    return np.bincount(true * num_phases + predicted, minlength=num_phases**2).reshape(num_phases, num_phases)
