import math

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.parts.distances import distances, prepared, squared_distances


def test_distances_against_loops():
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    result = squared_distances(x, y)
    torch.testing.assert_close(distances(x, y), result.sqrt())
    torch.testing.assert_close(squared_distances(x[0], y[0]), result[0])
    for pair in range(2):
        for i in range(3):
            for j in range(4):
                expected = math.dist(x[pair, i].tolist(), y[pair, j].tolist()) ** 2
                assert result[pair, i, j].item() == pytest.approx(expected)


def test_a_distance_to_itself_is_not_below_zero_and_has_a_gradient():
    x = (100 * torch.randn(1, 6, 32, generator=torch.manual_seed(0))).requires_grad_()
    squared = squared_distances(x, x)
    assert (squared >= 0).all()
    (squared.sum() + distances(x, x).sum()).backward()
    assert torch.isfinite(x.grad).all()


def test_equal_frames_are_a_thousandth_apart_and_do_not_move():
    x = torch.ones(1, 1, 3, requires_grad=True)
    distance = distances(x, x)
    assert distance.item() == pytest.approx(1e-3)
    distance.sum().backward()
    assert (x.grad == 0).all()


@pytest.mark.parametrize("dtype, expected", [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_prepared_views_are_blank_behind_their_ends(dtype, expected):
    z = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [math.nan, math.inf]]], dtype=dtype, requires_grad=True)
    keep = torch.tensor([[True, True, False]])
    view = prepared(View(z, torch.tensor([[1.0, 2.0, math.nan]]), torch.tensor([5.0]), keep), normalize=True)
    torch.testing.assert_close(view.z.detach(), torch.tensor([[[0.6, 0.8], [0, 0], [0, 0]]], dtype=expected))
    assert view.time.tolist() == [[1, 2, 0]] and view.keep is keep
    view.z[0, 0].sum().backward()
    assert (z.grad[0, 1:] == 0).all()
