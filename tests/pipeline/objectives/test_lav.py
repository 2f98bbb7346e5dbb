import math

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.lav import Objective, Settings, contrastive_idm


def slow_idm(z, time, num_frames, window, margin, weights):
    """Contrastive-IDM of one video, pair of frames by pair of frames."""
    total = 0.0
    for i in range(len(z)):
        for j in range(len(z)):
            squared = sum((p - q) ** 2 for p, q in zip(z[i], z[j], strict=True))
            frames = abs(time[i] - time[j])
            if weights == "released":
                near, far = 1.0, 1 + (time[i] / num_frames - time[j] / num_frames) ** 2
            else:
                near, far = 1 / (frames**2 + 1), frames**2 + 1
            total += near * squared if frames <= window else far * max(0.0, margin - squared)
    return total


def slow_soft_dtw(x, y, gamma):
    table = {(-1, -1): 0.0}
    for i in range(len(x)):
        for j in range(len(y)):
            cost = sum((p - q) ** 2 for p, q in zip(x[i], y[j], strict=True))
            arriving = [table[cell] for cell in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if cell in table]
            table[i, j] = cost - gamma * math.log(sum(math.exp(-r / gamma) for r in arriving))
    return table[len(x) - 1, len(y) - 1]


def slow_loss(a, b, lengths, settings):
    """(soft-DTW + alpha (I(a) + I(b))) / N, pair by pair; N is the mean of both lengths."""

    def unit(rows):
        norms = [math.sqrt(sum(value**2 for value in row)) if settings.normalize_embeddings else 1.0 for row in rows]
        return [[value / norm for value in row] for row, norm in zip(rows, norms, strict=True)]

    losses = []
    for pair, (n, m) in enumerate(zip(*lengths, strict=True)):
        x, y = unit(a.z[pair, :n].tolist()), unit(b.z[pair, :m].tolist())
        parts = settings.window_frames, settings.margin, settings.weights
        idm_a = slow_idm(x, a.time[pair].tolist(), a.num_frames[pair].item(), *parts)
        idm_b = slow_idm(y, b.time[pair].tolist(), b.num_frames[pair].item(), *parts)
        losses.append((slow_soft_dtw(x, y, settings.gamma) + settings.alpha * (idm_a + idm_b)) / ((n + m) / 2))
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weights": "paper", "window_frames": 3},
        {"normalize_embeddings": False, "margin": 9.0, "gamma": 0.8, "alpha": 2.0, "window_frames": 2},
    ],
)
def test_equals_the_formula(two_pairs, settings):
    settings = Settings(**settings)
    a, b, lengths = two_pairs(torch.float64)
    assert Objective(settings, 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, settings), rel=1e-9)


def test_single_precision_equals_the_formula(two_pairs):
    a, b, lengths = two_pairs()
    assert Objective(Settings(), 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, Settings()), rel=1e-5)


def test_defaults_are_those_of_the_released_code():
    """SDTW_GAMMA, ALPHA, SIGMA, IDM_IDX_MARGIN, L2_NORMALIZE and NUM_FRAMES of its config.py."""
    s = Settings()
    values = (s.gamma, s.alpha, s.window_frames, s.margin, s.normalize_embeddings, s.frames)
    assert values == (0.1, 0.5, 10, 2.0, True, 20)


def test_only_frames_beyond_the_window_are_kept_apart(view_of):
    """Three unit vectors by hand: 0 and 1 are near and at right angles, 0 and 2 are far and alike."""
    z = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    video = view_of(z, [[0, 10, 20]], [40], [3])
    # near: (0, 1) and (1, 2) with distance 2; far: (0, 2) with distance 0 lacks the margin, weight 1 + (20 / 40)^2.
    assert contrastive_idm(video, Settings(window_frames=10)).item() == pytest.approx(2 * (2 + 2 + 1.25 * 2.0))
    # now all are far, and those at a distance of 2 lack nothing
    assert contrastive_idm(video, Settings(window_frames=9)).item() == pytest.approx(2 * (1.25 * 2.0))
    by_paper = contrastive_idm(video, Settings(window_frames=10, weights="paper")).item()
    assert by_paper == pytest.approx(2 * (2 / 101 + 2 / 101 + 401 * 2.0))


def test_a_pair_counts_alike_alone_and_beside_longer_ones(two_pairs):
    a, b, _ = two_pairs(torch.float64)

    def alone(side, i, n):
        row = slice(i, i + 1)
        return View(side.z[row, :n], side.time[row, :n], side.num_frames[row], side.keep[row, :n])

    objective = Objective(Settings(), 4)
    each = [objective(alone(a, 0, 6), alone(b, 0, 5)), objective(alone(a, 1, 3), alone(b, 1, 2))]
    torch.testing.assert_close(objective(a, b), torch.stack(each).mean())


def circle(num_frames, turns=0.75):
    angle = torch.linspace(0, turns * 2 * math.pi, num_frames)
    return torch.stack([angle.cos(), angle.sin()], dim=-1)[None]


def test_aligned_videos_cost_less_than_shuffled_and_collapsed_ones(view_of):
    n = 20
    objective, times = Objective(Settings(), 2), [list(range(0, 5 * n, 5))]

    def loss(z, other):
        return objective(view_of(z, times, [5 * n], [n]), view_of(other, times, [5 * n], [n])).item()

    aligned = loss(circle(n), circle(n))
    assert aligned < loss(circle(n), circle(n).flip(1))
    assert aligned < loss(circle(n), circle(n)[:, torch.randperm(n, generator=torch.manual_seed(0))])
    assert aligned < loss(torch.ones(1, n, 2), torch.ones(1, n, 2))


def test_adam_on_free_embeddings_lowers_the_loss_and_aligns(view_of, losses_of_adam):
    torch.manual_seed(0)
    n = 12
    times, free = [list(range(0, 10 * n, 10))], torch.randn(2, 1, n, 8, requires_grad=True)
    objective = Objective(Settings(window_frames=5), 8)

    def loss():
        return objective(*(view_of(z, times, [10 * n], [n]) for z in free))

    losses = losses_of_adam([free], loss, lr=0.05, num_steps=100)
    assert losses[-1] < 0.5 * losses[0]
    unit = torch.nn.functional.normalize(free.detach()[:, 0], dim=-1)
    nearest = (unit[0] @ unit[1].T).argmax(dim=1)
    assert (nearest.diff() >= 0).all() and nearest[0] == 0 and nearest[-1] == n - 1  # ends on ends, and no way back
