import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import kendalltau

from pipeline.metrics.clips import ROWS_PER_BLOCK, Clips
from pipeline.metrics.kendall import nearest_among, nearest_frames, pair_taus, tau_b


def make_clips(parts: list[np.ndarray]) -> Clips:
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    return Clips(
        features=np.concatenate(parts).astype(np.float32),
        offsets=offsets,
        phase=np.full(offsets[-1], -1, dtype=np.int16),
        events=np.empty((len(parts), 0), dtype=np.int32),
        fps=np.full(len(parts), 30, dtype=np.float32),
        names=tuple(str(n) for n in range(len(parts))),
    )


def scipy_taus(clips: Clips, stride: int) -> np.ndarray:
    parts = [clips.features[clips.frames(n)][::stride].astype(np.float64) for n in range(len(clips))]
    taus = np.full((len(parts), len(parts)), np.nan)
    for i, query in enumerate(parts):
        for j, other in enumerate(parts):
            nearest = cdist(query, other, "sqeuclidean").argmin(axis=1)
            taus[i, j] = kendalltau(np.arange(len(query)), nearest).correlation
    return taus


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 12), min_size=2, max_size=40))
def test_tau_b_is_that_of_scipy_with_ties(order):
    found = tau_b(np.array(order), 13)
    expected = kendalltau(np.arange(len(order)), order).correlation
    assert found == pytest.approx(expected, abs=1e-15, nan_ok=True)


def test_tau_b_by_hand():
    assert tau_b(np.array([0, 2, 1]), 3) == pytest.approx((2 - 1) / 3)
    assert tau_b(np.array([0, 1, 1]), 3) == pytest.approx(2 / np.sqrt(3 * 2))
    assert np.isnan(tau_b(np.array([4, 4, 4]), 5))


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_taus_are_those_of_the_scipy_loop(stride, offset):
    rng = np.random.default_rng(0)
    curve = np.cumsum(rng.normal(size=(60, 8)), axis=0)
    parts = [offset + curve[: rng.integers(6, 60)] + rng.normal(0, 2, 8) for _ in range(25)]
    parts[3][1::2] = parts[3][:-1:2][: len(parts[3][1::2])]  # repeated frames: exact ties
    parts.append(np.repeat(parts[4][:1], 9, axis=0))  # a still video
    clips = make_clips(parts)
    assert clips.offsets[-1] > ROWS_PER_BLOCK
    expected = scipy_taus(clips, stride)
    taus, undefined = pair_taus(clips, stride)
    np.testing.assert_allclose(taus, np.nan_to_num(expected), atol=1e-14)
    assert undefined == np.isnan(expected[~np.eye(len(clips), dtype=bool)]).sum() > 0


def test_the_first_of_equally_near_frames_is_taken():
    rng = np.random.default_rng(1)
    keys = np.repeat(rng.normal(size=(300, 33)), 3, axis=0).astype(np.float32)
    offsets = np.array([0, 450, 900])
    queries = keys + rng.normal(0, 1e-3, keys.shape).astype(np.float32)
    expected = [cdist(queries, keys[part], "sqeuclidean").argmin(axis=1) for part in (slice(0, 450), slice(450, 900))]
    np.testing.assert_array_equal(nearest_frames(queries, keys, offsets), np.transpose(expected))
    np.testing.assert_array_equal(nearest_among(keys, offsets), nearest_frames(keys, keys, offsets))


def test_a_perfect_embedding_scores_1_a_reversed_one_minus_1_and_a_constant_one_0():
    share = [np.linspace(0, 1, num)[:, None] for num in (9, 12, 20)]
    different = ~np.eye(3, dtype=bool)
    assert (pair_taus(make_clips(share), 1)[0][different] > 0.9).all()
    assert pair_taus(make_clips([share[1]] * 3), 2)[0][different] == pytest.approx(1)
    backwards, _ = pair_taus(make_clips([share[1], 1 - share[1]]), 1)
    assert backwards[0, 1] == pytest.approx(-1)
    taus, undefined = pair_taus(make_clips([np.zeros((8, 2))] * 3), 2)
    assert (taus == 0).all() and undefined == 6
