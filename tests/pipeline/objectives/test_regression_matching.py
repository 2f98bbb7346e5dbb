import math

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.regression_matching import Objective, Settings, match


def slow_loss(z, z_augmented, index, num_frames, num_augmented, temperature):
    """Eqs. 3 and 4, number by number."""
    total = 0.0
    for b in range(len(z)):
        error = 0.0
        for j in range(num_augmented[b]):
            weights = [math.exp(-math.dist(z[b][i], z_augmented[b][j]) / temperature) for i in range(num_frames[b])]
            predicted = sum(i * w for i, w in enumerate(weights)) / sum(weights)
            error += (predicted - index[b][j]) ** 2
        total += error / num_augmented[b]
    return total / len(z)


def regression_matching_loss(z, z_augmented, index, keep, keep_augmented, settings):
    frames = torch.arange(z.shape[1]).expand(len(z), -1).float()
    num_frames = keep.sum(dim=1).float()
    views = View(z, frames, num_frames, keep), View(z_augmented, index.float(), num_frames, keep_augmented)
    return Objective(settings, z.shape[-1])(*views)


def example(width=8):
    torch.manual_seed(0)
    z, z_augmented = torch.randn(2, 6, width), torch.randn(2, 5, width)
    index = torch.tensor([[0, 1, 3, 4, 5], [0, 2, 3, 0, 0]])
    frames, augmented = [6, 4], [5, 3]
    keep = torch.arange(6) < torch.tensor(frames)[:, None]
    keep_augmented = torch.arange(5) < torch.tensor(augmented)[:, None]
    return z, z_augmented, index, keep, keep_augmented, frames, augmented


@pytest.mark.parametrize("scale, effective", [("literal", 0.7), ("casa", 0.7 * 8**1.5)])
def test_equals_the_formula(scale, effective):
    *tensors, frames, augmented = example()
    loss = regression_matching_loss(*tensors, Settings(temperature=0.7, scale=scale))
    z, z_augmented, index = (tensor.tolist() for tensor in tensors[:3])
    assert loss.item() == pytest.approx(slow_loss(z, z_augmented, index, frames, augmented, effective), rel=1e-4)


def test_casa_scale_at_the_papers_width():
    """lambda_eff = 0.1 * 192^1.5 = 266: CASA divides by sqrt(D) before the distance, then by 0.1, then by D."""
    z, z_augmented = torch.randn(1, 3, 192), torch.randn(1, 2, 192)
    casa = -torch.cdist(z / 192**0.5, z_augmented / 192**0.5) / 0.1 / 192
    keep = torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(match(z, z_augmented, keep, Settings()), casa.softmax(1), atol=1e-5, rtol=1e-4)


def test_padding_has_no_weight_and_no_gradient():
    z, z_augmented, index, keep, keep_augmented, *_ = example()
    z.requires_grad_()
    z_augmented.requires_grad_()
    weights = match(z, z_augmented, keep, Settings(scale="literal"))
    assert (weights[1, 4:] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 5))
    regression_matching_loss(z, z_augmented, index, keep, keep_augmented, Settings(scale="literal")).backward()
    assert (z.grad[1, 4:] == 0).all() and (z_augmented.grad[1, 3:] == 0).all()
    assert (z.grad[0] != 0).any()


def test_perfect_and_blind_embeddings():
    keep = torch.ones(1, 9, dtype=torch.bool)
    line = 100.0 * torch.arange(9.0)[None, :, None].expand(1, 9, 4)
    literal = Settings(temperature=1, scale="literal")
    index = torch.arange(9)[None]
    assert regression_matching_loss(line, line, index, keep, keep, literal) < 1e-6
    blind = regression_matching_loss(torch.zeros_like(line), torch.zeros_like(line), index, keep, keep, literal)
    assert blind.item() == pytest.approx(60 / 9)  # the variance of 0..8
