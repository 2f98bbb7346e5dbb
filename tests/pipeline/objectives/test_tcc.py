import math

import pytest
import torch

from pipeline.objectives.tcc import Objective, Settings, cycle_ends


def slow_cycle(start, other, time, num_frames, settings):
    """The loss of the cycles of one video, frame by frame (section 3 of the paper)."""

    def unit(rows):
        return [[value / math.hypot(*row) for value in row] for row in rows] if settings.normalize_embeddings else rows

    def similarity(p, q):
        if settings.similarity == "cosine":
            value = sum(x * y for x, y in zip(p, q, strict=True))
        else:
            value = -sum((x - y) ** 2 for x, y in zip(p, q, strict=True))
        return value / settings.temperature / (len(p) if settings.scale == "released" else 1)

    def softmax(values):
        weights = [math.exp(value - max(values)) for value in values]
        return [weight / sum(weights) for weight in weights]

    start, other = unit(start), unit(other)
    if settings.normalize_indices:
        time = [t / num_frames for t in time]
    total = 0.0
    for i, frame in enumerate(start):
        alpha = softmax([similarity(frame, v) for v in other])
        neighbour = [sum(alpha[j] * other[j][d] for j in range(len(other))) for d in range(len(frame))]
        beta = softmax([similarity(neighbour, u) for u in start])
        if settings.cycle == "classification":
            smoothing = settings.label_smoothing
            for k, probability in enumerate(beta):
                label = (1 - smoothing) * (k == i) + smoothing / len(start)
                total -= label * math.log(probability)
            continue
        mean = sum(b * t for b, t in zip(beta, time, strict=True))
        error = (time[i] - mean) ** 2
        if settings.variance_aware:
            variance = sum(b * (t - mean) ** 2 for b, t in zip(beta, time, strict=True))
            error = error / variance + settings.variance_lambda * math.log(variance)
        total += error
    return total / len(start)


def slow_loss(a, b, lengths, settings):
    losses = []
    for pair, (n, m) in enumerate(zip(*lengths, strict=True)):
        x, y = a.z[pair, :n].tolist(), b.z[pair, :m].tolist()
        there = slow_cycle(x, y, a.time[pair, :n].tolist(), a.num_frames[pair].item(), settings)
        back = slow_cycle(y, x, b.time[pair, :m].tolist(), b.num_frames[pair].item(), settings)
        losses.append((there + back) / 2)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"variance_aware": False},
        {"normalize_indices": False, "variance_lambda": 0.3},
        {"scale": "literal", "temperature": 1.0},
        {"similarity": "cosine"},
        {"similarity": "cosine", "normalize_embeddings": True, "scale": "literal"},
        {"cycle": "classification"},
        {"cycle": "classification", "label_smoothing": 0.0, "normalize_embeddings": True},
    ],
)
def test_equals_the_formula(two_pairs, settings):
    settings = Settings(**settings)
    a, b, lengths = two_pairs(torch.float64, scale=0.5)
    assert Objective(settings, 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, settings), rel=1e-9)


@pytest.mark.parametrize("cycle", ["regression", "classification"])
def test_single_precision_equals_the_formula(two_pairs, cycle):
    a, b, lengths = two_pairs(scale=0.5)
    settings = Settings(cycle=cycle)
    assert Objective(settings, 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, settings), rel=1e-4)


def test_defaults_are_those_of_the_released_code():
    """Of CONFIG.ALIGNMENT and CONFIG.TRAIN.NUM_FRAMES in its config.py."""
    s = Settings()
    assert (s.cycle, s.variance_aware, s.variance_lambda, s.label_smoothing) == ("regression", True, 0.001, 0.1)
    assert (s.temperature, s.similarity, s.normalize_indices, s.frames) == (0.1, "l2", True, 20)


def test_cycles_end_in_kept_frames(two_pairs):
    a, b, _ = two_pairs(scale=0.5)
    ends = cycle_ends(a, b, Settings()).exp()
    assert (ends[1, :, 3:] == 0).all()
    torch.testing.assert_close(ends.sum(dim=2)[a.keep], torch.ones(9))


def test_blind_embeddings_by_hand(view_of):
    """All ends alike: the expected time is the mean of 0, 1/3, 2/3, whose variance is 2/27."""
    flat = view_of(torch.zeros(1, 3, 2), [[0, 1, 2]], [3], [3])
    variance = 2 / 27
    loss = Objective(Settings(variance_aware=False), 2)(flat, flat)
    assert loss.item() == pytest.approx(variance)
    loss = Objective(Settings(variance_lambda=0.5), 2)(flat, flat)
    assert loss.item() == pytest.approx(1 + 0.5 * math.log(variance))
    assert Objective(Settings(cycle="classification"), 2)(flat, flat).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    "settings", [{}, {"variance_aware": False}, {"cycle": "classification", "label_smoothing": 0.0}]
)
def test_perfect_embeddings_cost_less_than_unrelated_ones(view_of, settings):
    torch.manual_seed(0)
    n = 20
    objective = Objective(Settings(**settings), 2)
    line, times = torch.arange(n).float()[None, :, None].expand(1, n, 2), [list(range(n))]
    perfect, unrelated = (view_of(z, times, [n], [n]) for z in (line, torch.randn(1, n, 2)))
    assert objective(perfect, perfect) < objective(perfect, unrelated)
    assert objective(perfect, perfect) < objective(unrelated, unrelated._replace(z=torch.randn(1, n, 2)))


@pytest.mark.parametrize("settings", [{}, {"cycle": "classification"}, {"starts": 1.0}])
def test_adam_on_free_embeddings_lowers_the_loss(view_of, losses_of_adam, settings):
    torch.manual_seed(0)
    n = 12
    free, times = torch.randn(2, 1, n, 8, requires_grad=True), [list(range(n))]
    objective = Objective(Settings(**settings), 8)
    every_start = Objective(Settings(**settings | {"starts": None}), 8)

    def loss(of):
        return of(*(view_of(z, times, [n], [n]) for z in free))

    before = loss(every_start).detach()
    losses_of_adam([free], lambda: loss(objective), lr=0.1, num_steps=60)
    assert loss(every_start) < before - 0.3 * before.abs()


def test_drawn_cycles_are_those_of_all_frames_on_average(two_pairs):
    a, b, _ = two_pairs(torch.float64, scale=0.5)
    torch.manual_seed(0)
    drawn = torch.stack([Objective(Settings(starts=100.0), 4)(a, b) for _ in range(20)])
    # five standard errors of the mean of 20 losses, each of 600 and of 500 cycles a pair
    assert (drawn.mean() - Objective(Settings(), 4)(a, b)).abs() < 5 * drawn.std() / 20**0.5
    assert drawn.std() > 0
