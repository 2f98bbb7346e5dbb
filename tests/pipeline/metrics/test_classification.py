import logging
from dataclasses import replace

import numpy as np
import pytest
from sklearn.svm import SVC

from pipeline.metrics.classification import (
    confusion,
    count_correct,
    fit_logistic,
    fit_svc,
    label_order,
    labelled_frames,
    predict_svc,
)
from pipeline.metrics.clips import Clips


def make_clips(num_videos: int, num_frames: int = 6, width: int = 4, seed: int = 0) -> Clips:
    """Three phases in equal parts; features that overlap but carry them."""
    rng = np.random.default_rng(seed)
    phase = np.tile(np.repeat(np.arange(3), num_frames // 3), num_videos).astype(np.int16)
    return Clips(
        features=(phase[:, None] + rng.normal(0, 0.7, (len(phase), width))).astype(np.float32),
        offsets=np.arange(num_videos + 1) * num_frames,
        phase=phase,
        events=np.tile(np.array([num_frames // 3, 2 * num_frames // 3], dtype=np.int32), (num_videos, 1)),
        fps=np.full(num_videos, 30, dtype=np.float32),
        names=tuple(f"video {n}" for n in range(num_videos)),
    )


@pytest.mark.parametrize("num_classes", [2, 3, 6])
def test_svc_predicts_what_scikit_learn_predicts_ties_included(num_classes):
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(0, num_classes, 300) * 2  # labels need not be 0, 1, 2, ...
    features = (rng.normal(size=(300, 5)) + 0.3 * labels[:, None] + 50).astype(np.float32)
    queries = (rng.normal(0, 2, (1500, 5)) + num_classes * 0.3 + 50).astype(np.float32)
    reference = SVC(C=1.0, gamma="scale", decision_function_shape="ovo").fit(features, labels)
    expected = reference.predict(queries)
    assert len(np.unique(expected)) == num_classes
    np.testing.assert_array_equal(fit_svc(features, labels)(queries), expected)
    if num_classes == 6:
        votes = np.zeros((len(queries), 6), dtype=int)
        for n, (i, j) in enumerate(zip(*np.triu_indices(6, 1), strict=True)):
            first = reference.decision_function(queries)[:, n] > 0
            votes[:, i] += first
            votes[:, j] += ~first
        assert ((votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1).any(), "no tie was tested"


def test_more_queries_than_one_block():
    clips = make_clips(200)
    svc = SVC(gamma=0.3).fit(clips.features[:120], clips.phase[:120])
    np.testing.assert_array_equal(predict_svc(svc, clips.features), svc.predict(clips.features))


def test_both_classifiers_beat_chance_on_other_videos():
    train, other = make_clips(10), make_clips(10, seed=1)
    for fit in (fit_svc, fit_logistic):
        correct, total = count_correct(fit(train.features, train.phase)(other.features), other)
        assert correct.sum() / total.sum() > 0.75


def test_one_phase_only_is_predicted_with_a_warning(caplog):
    features = np.zeros((5, 3), dtype=np.float32)
    for fit in (fit_svc, fit_logistic):
        with caplog.at_level(logging.WARNING):
            predict = fit(features, np.full(5, 2, dtype=np.int16))
        assert predict(np.ones((4, 3), dtype=np.float32)).tolist() == [2] * 4
        assert "phase 2" in caplog.text
        caplog.clear()


def test_constant_features_are_no_error():
    predict = fit_svc(np.ones((6, 2), dtype=np.float32), np.array([0, 0, 0, 0, 1, 1]))
    assert len(predict(np.ones((3, 2), dtype=np.float32))) == 3


def test_larger_fractions_extend_smaller_ones_in_a_seeded_order():
    train = make_clips(10)
    order = label_order(train, seed=3)
    assert sorted(order) == list(range(10)) and list(order) != list(range(10))
    assert order.tolist() == label_order(train, seed=3).tolist() != label_order(train, seed=4).tolist()
    for fraction, videos in ((0.1, 1), (0.39, 3), (0.7, 7), (1.0, 10)):
        features, phase, note = labelled_frames(train, order, fraction)
        expected = np.isin(train.clip_of_frame, order[:videos])
        np.testing.assert_array_equal(features, train.features[expected])
        np.testing.assert_array_equal(phase, train.phase[expected])
        assert note is None


def test_a_fraction_below_one_video_is_rounded_up_and_said():
    train = make_clips(4)
    features, _, note = labelled_frames(train, label_order(train, 0), 0.1)
    assert len(features) == 6
    assert "0.1 of 4" in note


def test_unlabelled_frames_and_videos_take_no_part():
    train = make_clips(4)
    phase = train.phase.copy()
    phase[train.frames(2)] = -1
    phase[0] = -1
    train = replace(train, phase=phase)
    order = label_order(train, 0)
    assert sorted(order) == [0, 1, 3]
    assert len(labelled_frames(train, order, 1.0)[0]) == 5 + 6 + 6
    correct, total = count_correct(np.zeros(24), train)
    assert correct.tolist() == [1, 2, 0, 2] and total.tolist() == [5, 6, 0, 6]


def test_confusion_has_true_phases_in_rows():
    clips = replace(make_clips(1), phase=np.array([0, 0, 1, 1, 2, -1], dtype=np.int16))
    table = confusion(np.array([0, 1, 1, 1, 0, 2]), clips, 3)
    assert table.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
