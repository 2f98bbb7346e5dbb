import math

import pytest
import torch

from pipeline.objectives.parts.soft_dtw import soft_dtw


def slow(costs, gamma):
    """The recursion of Cuturi and Blondel (Algorithm 1), cell by cell."""
    table = {(-1, -1): 0.0}
    for i in range(len(costs)):
        for j in range(len(costs[0])):
            arriving = [table[cell] for cell in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if cell in table]
            least = min(arriving)
            table[i, j] = costs[i][j] + least - gamma * math.log(sum(math.exp((least - r) / gamma) for r in arriving))
    return table[len(costs) - 1, len(costs[0]) - 1]


def paths(rows, columns):
    """Every monotone path as a list of cells, by following every step."""
    if rows == 0 and columns == 0:
        return [[(0, 0)]]
    steps = [(rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)]
    return [[*path, (rows, columns)] for i, j in steps if i >= 0 and j >= 0 for path in paths(i, j)]


def example(lengths, shape, dtype=torch.float64):
    torch.manual_seed(0)
    return 4 * torch.rand(len(lengths[0]), *shape, dtype=dtype), tuple(torch.tensor(side) for side in lengths)


@pytest.mark.parametrize("gamma", [0.01, 0.1, 3.0])
def test_equals_the_recursion_at_every_length(gamma):
    n, m = [6, 1, 6, 2, 3], [9, 9, 1, 2, 8]
    costs, lengths = example((n, m), (6, 9))
    expected = [slow(c[:i, :j].tolist(), gamma) for c, i, j in zip(costs, n, m, strict=True)]
    torch.testing.assert_close(soft_dtw(costs, lengths, gamma), torch.tensor(expected, dtype=torch.float64))
    single = soft_dtw(costs.float(), lengths, gamma)
    torch.testing.assert_close(single, torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5)


def test_gradient_is_the_share_of_paths_through_each_cell():
    gamma, (rows, columns) = 0.5, (4, 3)
    costs, lengths = example(([rows], [columns]), (rows, columns))
    costs.requires_grad_()
    soft_dtw(costs, lengths, gamma).sum().backward()
    share, total = torch.zeros(rows, columns, dtype=torch.float64), 0.0
    for path in paths(rows - 1, columns - 1):
        weight = math.exp(-sum(costs[0, i, j].item() for i, j in path) / gamma)
        total += weight
        for cell in path:
            share[cell] += weight
    torch.testing.assert_close(costs.grad[0], share / total)


def test_gradcheck():
    costs, lengths = example(([4, 2, 1], [5, 3, 5]), (4, 5))
    costs.requires_grad_()
    assert torch.autograd.gradcheck(lambda c: soft_dtw(c, lengths, 0.3), costs)


def test_a_small_gamma_gives_the_cheapest_path():
    costs, lengths = example(([5], [4]), (5, 4))
    cheapest = min(sum(costs[0][cell].item() for cell in path) for path in paths(4, 3))
    assert soft_dtw(costs, lengths, 1e-4).item() == pytest.approx(cheapest, abs=1e-3)


def test_one_cell_costs_what_it_costs():
    costs = torch.tensor([[[2.5]]])
    assert soft_dtw(costs, (torch.tensor([1]), torch.tensor([1])), 0.1).item() == 2.5


def test_equal_costs_count_the_paths():
    """With no costs there are D(3, 3) = 63 paths through 4 x 4 cells (the Delannoy numbers)."""
    costs, lengths = torch.zeros(1, 4, 4, dtype=torch.float64), (torch.tensor([4]), torch.tensor([4]))
    assert soft_dtw(costs, lengths, 0.7).item() == pytest.approx(-0.7 * math.log(63))


@pytest.mark.parametrize("garbage", [-50.0, 1e6])
def test_padding_has_no_influence_and_no_gradient(garbage):
    costs, lengths = example(([4, 2], [3, 5]), (4, 5))
    filled = costs.clone()
    filled[0, :, 3:] = garbage
    filled[1, 2:] = garbage
    filled.requires_grad_()
    result = soft_dtw(filled, lengths, 0.1)
    torch.testing.assert_close(result, soft_dtw(costs, lengths, 0.1), rtol=0, atol=0)
    result.sum().backward()
    assert (filled.grad[0, :, 3:] == 0).all() and (filled.grad[1, 2:] == 0).all()
    assert filled.grad[0, 0, 0].item() == pytest.approx(1) and filled.grad[1, 1, 4].item() == pytest.approx(1)


def test_long_sequences_stay_finite():
    costs, lengths = example(([300], [200]), (300, 200), torch.float32)
    costs = (100 * costs).requires_grad_()
    result = soft_dtw(costs, lengths, 0.1)
    result.sum().backward()
    assert torch.isfinite(result).all() and torch.isfinite(costs.grad).all()
    # A path has at least as many cells as the longer sequence has frames, and at most as both have, less one.
    assert 299.9 < costs.grad.sum() < 499.1


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same():
    costs, lengths = example(([6, 3], [9, 8]), (6, 9))
    on_device = soft_dtw(costs.cuda(), tuple(side.cuda() for side in lengths), 0.1)
    torch.testing.assert_close(on_device.cpu(), soft_dtw(costs, lengths, 0.1))
