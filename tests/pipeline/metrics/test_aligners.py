"""Classical aligners against slow loops: the path, the partners along it, event error and tau."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kendalltau

from pipeline.metrics.aligners import ALIGNERS, align_dtw, align_soft_dtw
from pipeline.metrics.clips import Clips
from pipeline.metrics.event_error import event_errors
from pipeline.metrics.kendall import pair_taus

ALIGN = {"dtw": align_dtw, "soft_dtw": align_soft_dtw}


def make_clips(parts, events=None, fps=30):
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    return Clips(
        features=np.concatenate(parts).astype(np.float32),
        offsets=offsets,
        phase=np.zeros(offsets[-1], dtype=np.int16),
        events=np.array(events or [[]] * len(parts), dtype=np.int32),
        fps=np.full(len(parts), fps, dtype=np.float32),
        names=tuple(str(n) for n in range(len(parts))),
    )


def walks(lengths, seed=0):
    """Wandering clips that show the same curve, each in its own time and with its own noise."""
    rng = np.random.default_rng(seed)
    curve = np.cumsum(rng.normal(0, 0.3, (50, 5)), axis=0)
    times = [np.sort(rng.uniform(0, 49, length)) for length in lengths]
    clean = [np.column_stack([np.interp(time, np.arange(50), column) for column in curve.T]) for time in times]
    return [(part + rng.normal(0, 0.1, part.shape)).astype(np.float32) for part in clean]


def slow_path(cost):
    """The cheapest monotone path, from a table of the least sums of its beginnings."""
    rows, columns = len(cost), len(cost[0])
    least, came_from = {}, {}
    for i in range(rows):
        for j in range(columns):
            before = [place for place in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if place in least]
            came_from[i, j] = min(before, key=least.get) if before else None
            least[i, j] = cost[i][j] + (least[came_from[i, j]] if before else 0)
    path = [(rows - 1, columns - 1)]
    while came_from[path[-1]]:
        path.append(came_from[path[-1]])
    return path[::-1]


def slow_dtw(a, b):
    """The middle partner, of two the earlier, of each frame of a in b, and of each of b in a."""
    path = slow_path([[float(np.sqrt(((x - y) ** 2).sum())) for y in b] for x in a.astype(np.float64)])
    of_a = [[j for i, j in path if i == frame] for frame in range(len(a))]
    of_b = [[i for i, j in path if j == frame] for frame in range(len(b))]
    return tuple([found[(len(found) - 1) // 2] for found in group] for group in (of_a, of_b))


def slow_soft_dtw(a, b, gamma):
    """Mean partners where the probability of a step back is told from the soft minima of all beginnings and ends."""

    def beginnings(cost):  # of the table of costs: -gamma log of the summed weights of all paths up to each pair
        table = {}
        for i in range(len(cost)):
            for j in range(len(cost[0])):
                before = [table[p] for p in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if p in table] or [0.0]
                lowest = min(before)
                soft = lowest - gamma * np.log(sum(np.exp((lowest - x) / gamma) for x in before))
                table[i, j] = cost[i][j] + soft
        return table

    cost = [[float(((x - y) ** 2).mean()) for y in b] for x in a.astype(np.float64)]
    rows, columns = len(a), len(b)
    start = beginnings(cost)
    end = beginnings([line[::-1] for line in cost[::-1]])
    weight = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            through = start[i, j] + end[rows - 1 - i, columns - 1 - j] - cost[i][j]
            weight[i, j] = np.exp((start[rows - 1, columns - 1] - through) / gamma)
    of_a = [sum(j * weight[i, j] for j in range(columns)) / weight[i].sum() for i in range(rows)]
    of_b = [sum(i * weight[i, j] for i in range(rows)) / weight[:, j].sum() for j in range(columns)]
    return [round(x) for x in of_a], [round(x) for x in of_b]


@pytest.mark.parametrize("lengths", [(12, 17), (23, 9), (2, 15), (2, 2), (1, 6), (6, 1)])
def test_dtw_is_that_of_a_slow_table(lengths):
    a, b = walks(lengths)
    of_a, of_b = align_dtw(a, b)
    assert (of_a.tolist(), of_b.tolist()) == slow_dtw(a, b)


@pytest.mark.parametrize("lengths", [(12, 17), (23, 9), (2, 15), (2, 2), (1, 6), (6, 1)])
@pytest.mark.parametrize("gamma", [0.003, 0.01, 0.3])
def test_soft_dtw_is_that_of_beginnings_and_ends(lengths, gamma):
    a, b = walks(lengths)
    of_a, of_b = align_soft_dtw(a, b, gamma)
    assert (of_a.tolist(), of_b.tolist()) == slow_soft_dtw(a, b, gamma)


@pytest.mark.parametrize("name", ALIGNERS)
def test_all_pairs_are_matched_from_one_path_each(name):
    clips = make_clips(walks((9, 14, 2, 11)))
    matched = ALIGNERS[name](clips.features, clips.offsets)
    parts = [clips.features[clips.frames(n)] for n in range(4)]
    for i in range(4):
        for j in range(4):
            found = matched[clips.frames(i), j].tolist()
            if i == j:
                assert found == list(range(len(parts[i])))
            elif i < j:
                assert found == ALIGN[name](parts[i], parts[j])[0].tolist()
            else:
                assert found == ALIGN[name](parts[j], parts[i])[1].tolist()


@pytest.mark.parametrize("name", ALIGNERS)
def test_event_errors_are_those_of_loops_over_pairs_and_events(name):
    events = [[2, 5], [-1, 9], [4, 8], [1, -1]]
    clips = make_clips(walks((9, 14, 12, 11)), events, fps=25)
    errors = event_errors(clips, 0.1, ALIGNERS[name])
    for i in range(4):
        for j in range(4):
            of_a, of_b = ALIGN[name](*(clips.features[clips.frames(n)] for n in sorted((i, j))))
            frames = of_a if i <= j else of_b
            shared = [e for e in range(2) if min(events[i][e], events[j][e]) >= 0]
            off = [abs(int(frames[events[i][e]]) - events[j][e]) for e in shared] if i != j else None
            if off is not None:
                length = clips.lengths[j]
                assert errors.count[i, j] == len(off)
                assert errors.percent[i, j] == pytest.approx(sum(100 * frames / length for frames in off))
                assert errors.ms[i, j] == pytest.approx(sum(40 * frames for frames in off))
                assert errors.within[i, j] == sum(frames <= 0.1 * length for frames in off)


@pytest.mark.parametrize("name", ALIGNERS)
def test_taus_are_those_of_scipy_over_strided_frames(name):
    clips = make_clips(walks((21, 14, 16)))
    parts = [clips.features[start:stop:2] for start, stop in pairwise(clips.offsets)]
    taus, undefined = pair_taus(clips, 2, ALIGNERS[name])
    for i in range(3):
        for j in range(3):
            if i != j:
                of_a, of_b = ALIGN[name](*(parts[n] for n in sorted((i, j))))
                frames = of_a if i < j else of_b
                assert taus[i, j] == pytest.approx(kendalltau(np.arange(len(frames)), frames).correlation, abs=1e-14)
    assert undefined == 0 and taus.min() > 0.9  # by construction, not by merit


@pytest.mark.parametrize("name", ALIGNERS)
def test_equal_clips_match_frame_by_frame(name):
    clip = walks((20,))[0] * 10  # far from frame to frame, so that soft-DTW is sure of every one
    matched = ALIGNERS[name](np.concatenate([clip, clip]), np.array([0, 20, 40]))
    assert (matched == np.tile(np.arange(20), 2)[:, None]).all()


@pytest.mark.parametrize("name", ALIGNERS)
def test_still_clips_and_the_shortest_ones_match_something(name):
    clips = make_clips([np.zeros((30, 4)), np.zeros((3, 4)), np.zeros((1, 4)), np.zeros((2, 4))], [[15], [1], [0], [1]])
    matched = ALIGNERS[name](clips.features, clips.offsets)
    assert (matched >= 0).all() and (matched < clips.lengths).all()
    errors = event_errors(clips, 0.05, ALIGNERS[name])
    assert np.isfinite(errors.percent).all() and (errors.count == 1).all()
    taus, undefined = pair_taus(clips, 1, ALIGNERS[name])
    assert np.isfinite(taus).all() and undefined >= 3  # of every other one that is matched to a single frame


def test_a_path_keeps_the_order_where_the_nearest_neighbour_jumps():
    # There and back: each place is passed twice, so that the nearest neighbour takes the first time for the second.
    there_and_back = np.concatenate([np.linspace(0, 1, 15), np.linspace(1, 0, 15)])[:, None]
    slower = np.interp(np.linspace(0, 29, 45), np.arange(30), there_and_back[:, 0])[:, None]
    clips = make_clips([there_and_back, slower], [[7, 22], [11, 34]])
    different = ~np.eye(2, dtype=bool)
    jumping = event_errors(clips, 0.05).percent[different].mean()
    for match in ALIGNERS.values():
        assert event_errors(clips, 0.05, match).percent[different].mean() < 10 < jumping
