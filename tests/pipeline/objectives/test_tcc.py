import math

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.registry import known_objectives, make_objective, parse_objective
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


def view(z, time, num_frames, lengths):
    keep = torch.arange(z.shape[1]) < torch.tensor(lengths)[:, None]
    return View(z, torch.tensor(time, dtype=z.dtype), torch.tensor(num_frames, dtype=z.dtype), keep)


def example(dtype=torch.float32, width=4):
    """Two pairs: 6 frames against 5, and 3 against 2."""
    torch.manual_seed(0)
    z, other = torch.randn(2, 6, width, dtype=dtype) / 2, torch.randn(2, 5, width, dtype=dtype) / 2
    a = view(z, [[0, 2, 3, 7, 15, 21], [4, 5, 30, 0, 0, 0]], [22, 40], [6, 3])
    b = view(other, [[1, 2, 4, 12, 13], [0, 11, 0, 0, 0]], [14, 12], [5, 2])
    return a, b, ([6, 3], [5, 2])


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
def test_equals_the_formula(settings):
    settings = Settings(**settings)
    a, b, lengths = example(torch.float64)
    assert Objective(settings, 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, settings), rel=1e-9)


@pytest.mark.parametrize("cycle", ["regression", "classification"])
def test_single_precision_equals_the_formula(cycle):
    a, b, lengths = example()
    settings = Settings(cycle=cycle)
    assert Objective(settings, 4)(a, b).item() == pytest.approx(slow_loss(a, b, lengths, settings), rel=1e-4)


def test_defaults_are_those_of_the_released_code():
    """Of CONFIG.ALIGNMENT and CONFIG.TRAIN.NUM_FRAMES in its config.py."""
    s = Settings()
    assert (s.cycle, s.variance_aware, s.variance_lambda, s.label_smoothing) == ("regression", True, 0.001, 0.1)
    assert (s.temperature, s.similarity, s.normalize_indices, s.frames) == (0.1, "l2", True, 20)


def test_it_can_be_named():
    assert "tcc" in known_objectives()
    objective = make_objective(parse_objective({"name": "tcc", "cycle": "classification"}), 8)
    assert isinstance(objective, Objective) and objective.pairs == "two_videos"


def test_cycles_end_in_kept_frames():
    a, b, _ = example()
    ends = cycle_ends(a, b, Settings()).exp()
    assert (ends[1, :, 3:] == 0).all()
    torch.testing.assert_close(ends.sum(dim=2)[a.keep], torch.ones(9))


@pytest.mark.parametrize("cycle", ["regression", "classification"])
@pytest.mark.parametrize("garbage", [1e4, math.nan, math.inf])
def test_padding_has_no_influence_and_no_gradient(cycle, garbage):
    a, b, _ = example()
    objective = Objective(Settings(cycle=cycle), 4)
    filled = []
    for side in (a, b):
        z = side.z.masked_fill(~side.keep[..., None], garbage).requires_grad_()
        filled.append(side._replace(z=z, time=side.time.masked_fill(~side.keep, garbage)))
    loss = objective(*filled)
    assert loss.item() == objective(a, b).item()
    loss.backward()
    for side in filled:
        assert (side.z.grad[~side.keep] == 0).all() and (side.z.grad[side.keep] != 0).any(dim=-1).all()


@pytest.mark.parametrize("settings", [{}, {"variance_aware": False}, {"cycle": "classification"}, {"starts": 0.5}])
def test_degenerate_input_has_a_finite_loss_and_gradient(settings):
    torch.manual_seed(0)
    some = torch.randn(1, 9, 4)
    for z, other in (
        (some, some.clone()),
        (torch.zeros(1, 9, 4), torch.zeros(1, 9, 4)),
        (torch.ones(1, 9, 4), torch.ones(1, 9, 4)),
        (some, torch.randn(1, 2, 4)),
        (some[:, :2], torch.randn(1, 2, 4)),
        (1e4 * some, 1e4 * torch.randn(1, 9, 4)),  # every cycle ends in one frame for certain, mostly a wrong one
        (1e-6 * some, 1e-6 * some),
    ):
        sides = []
        for side in (z, other):
            n = side.shape[1]
            sides.append(view(side.clone().requires_grad_(), [list(range(0, 10 * n, 10))], [10 * n], [n]))
        loss = Objective(Settings(**settings), 4)(*sides)
        loss.backward()
        assert torch.isfinite(loss) and all(torch.isfinite(side.z.grad).all() for side in sides)


def test_blind_embeddings_by_hand():
    """All ends alike: the expected time is the mean of 0, 1/3, 2/3, whose variance is 2/27."""
    flat = view(torch.zeros(1, 3, 2), [[0, 1, 2]], [3], [3])
    variance = 2 / 27
    loss = Objective(Settings(variance_aware=False), 2)(flat, flat)
    assert loss.item() == pytest.approx(variance)
    loss = Objective(Settings(variance_lambda=0.5), 2)(flat, flat)
    assert loss.item() == pytest.approx(1 + 0.5 * math.log(variance))
    assert Objective(Settings(cycle="classification"), 2)(flat, flat).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    "settings", [{}, {"variance_aware": False}, {"cycle": "classification", "label_smoothing": 0.0}]
)
def test_perfect_embeddings_cost_less_than_unrelated_ones(settings):
    torch.manual_seed(0)
    n = 20
    objective = Objective(Settings(**settings), 2)
    line, times = torch.arange(n).float()[None, :, None].expand(1, n, 2), [list(range(n))]
    perfect, unrelated = (view(z, times, [n], [n]) for z in (line, torch.randn(1, n, 2)))
    assert objective(perfect, perfect) < objective(perfect, unrelated)
    assert objective(perfect, perfect) < objective(unrelated, unrelated._replace(z=torch.randn(1, n, 2)))


@pytest.mark.parametrize("settings", [{}, {"cycle": "classification"}, {"starts": 1.0}])
def test_adam_on_free_embeddings_lowers_the_loss(settings):
    torch.manual_seed(0)
    n = 12
    free, times = torch.randn(2, 1, n, 8, requires_grad=True), [list(range(n))]
    objective = Objective(Settings(**settings), 8)
    every_start = Objective(Settings(**settings | {"starts": None}), 8)
    optimizer = torch.optim.Adam([free], lr=0.1)
    before = every_start(*(view(z, times, [n], [n]) for z in free.detach()))
    for _ in range(60):
        optimizer.zero_grad()
        objective(*(view(z, times, [n], [n]) for z in free)).backward()
        optimizer.step()
    assert every_start(*(view(z, times, [n], [n]) for z in free.detach())) < before - 0.3 * before.abs()


def test_drawn_cycles_are_those_of_all_frames_on_average():
    a, b, _ = example(torch.float64)
    torch.manual_seed(0)
    drawn = torch.stack([Objective(Settings(starts=100.0), 4)(a, b) for _ in range(20)])
    # five standard errors of the mean of 20 losses, each of 600 and of 500 cycles a pair
    assert (drawn.mean() - Objective(Settings(), 4)(a, b)).abs() < 5 * drawn.std() / 20**0.5
    assert drawn.std() > 0
