import itertools
from collections import Counter

import pytest
import torch

from pipeline.objectives.parts.sampling import frames_at, random_frames, random_one


def mask(lengths, longest):
    return torch.arange(longest) < torch.tensor(lengths)[:, None]


def test_one_of_the_candidates_is_drawn_and_all_are_as_likely():
    torch.manual_seed(0)
    candidates = torch.tensor([[False, True, False, True, True], [True, False, False, False, False]])
    counts = Counter(random_one(candidates.expand(3000, 2, 5))[:, 0].tolist())
    assert set(counts) == {1, 3, 4}
    for count in counts.values():
        assert count == pytest.approx(1000, abs=5 * 26)  # five standard deviations of a binomial
    assert (random_one(candidates.expand(50, 2, 5))[:, 1] == 0).all()


def test_a_row_without_candidates_gives_position_0():
    assert random_one(torch.zeros(2, 3, dtype=torch.bool)).tolist() == [0, 0]


def test_frames_are_different_kept_and_in_order():
    torch.manual_seed(0)
    keep = mask([9, 4, 2], 9)
    for _ in range(100):
        frames, valid = random_frames(keep, 4)
        assert valid.tolist() == [[True] * 4, [True] * 4, [True, True, False, False]]
        assert (frames[0].diff() > 0).all() and frames[0, -1] < 9
        assert frames[1].tolist() == [0, 1, 2, 3]
        assert frames[2].tolist() == [0, 1, 0, 0]


def test_all_choices_are_as_likely():
    torch.manual_seed(0)
    frames, _ = random_frames(torch.ones(5000, 5, dtype=torch.bool), 3)
    counts = Counter(map(tuple, frames.tolist()))
    assert set(counts) == set(itertools.combinations(range(5), 3))
    for count in counts.values():
        assert count == pytest.approx(500, abs=5 * 21)  # five standard deviations of a binomial


@pytest.mark.parametrize("num", [3, 12])
def test_padding_does_not_change_what_is_drawn(num):
    results = []
    for longest in (7, 20):
        torch.manual_seed(0)
        results.append([*random_frames(mask([7, 3], longest), num), torch.rand(1)])
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_frames_at_positions():
    x = torch.arange(12.0).view(2, 3, 2)
    assert frames_at(x, torch.tensor([[2, 0], [1, 1]])).tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]
