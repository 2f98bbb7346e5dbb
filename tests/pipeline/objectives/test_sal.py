import math
from collections import Counter

import pytest
import torch

from pipeline.objectives.registry import make_objective, parse_objective
from pipeline.objectives.sal import Objective, Settings, draw_triplets


def objective(width=4, **settings):
    torch.manual_seed(0)
    return Objective(Settings(**settings), width)


def slow_view(one, model):
    """Cross-entropy of the classifier, triplet by triplet, from the draws that the objective makes."""
    frames, shuffled, valid = draw_triplets(one.keep, model.settings)
    losses = []
    for n, (triplet, label, ok) in enumerate(zip(frames.tolist(), shuffled.tolist(), valid.tolist(), strict=True)):
        if not ok:
            continue
        video = n // model.settings.triplets
        x = [number for frame in triplet for number in one.z[video, frame].tolist()]
        layers = [layer for layer in model.classifier if isinstance(layer, torch.nn.Linear)]
        for layer in layers:
            rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            x = [sum(w * v for w, v in zip(row, x, strict=True)) + bias for row, bias in rows]
            if layer is not layers[-1]:
                x = [max(0.0, v) for v in x]
        losses.append(math.log(math.exp(x[0]) + math.exp(x[1])) - x[label])
    return sum(losses) / len(losses)


def test_equals_the_formula(random_view):
    model = objective(hidden=(7, 5), triplets=6)
    a, b = random_view([9, 3, 6]), random_view([5, 8, 12], seed=1)
    torch.manual_seed(1)
    loss = model(a, b)
    torch.manual_seed(1)
    assert loss.item() == pytest.approx((slow_view(a, model) + slow_view(b, model)) / 2, rel=1e-5)


def test_triplets_are_in_order_or_have_their_middle_outside():
    torch.manual_seed(0)
    keep = torch.ones(100, 12, dtype=torch.bool)
    frames, shuffled, valid = draw_triplets(keep, Settings(shuffle_fraction=0.6))
    assert frames.shape == (800, 3) and valid.all() and shuffled.sum() == 480
    kinds = Counter()
    for (first, middle, last), label in zip(frames.tolist(), shuffled.tolist(), strict=True):
        low, high = min(first, last), max(first, last)
        assert label == (not low < middle < high) and len({first, middle, last}) == 3
        kinds[label, first > last, middle > high if label else None] += 1
    # Of each kind, forwards or backwards, the intruder from before or from behind, 120 to 160 are expected.
    assert min(kinds.values()) > 80 and len(kinds) == 6


def test_five_frames_have_one_choice():
    torch.manual_seed(0)
    frames, shuffled, _ = draw_triplets(torch.ones(50, 5, dtype=torch.bool), Settings())
    assert {tuple(three) for three in frames[~shuffled].tolist()} == {(1, 2, 3), (3, 2, 1)}
    outside = {(1, 0, 3), (1, 4, 3), (3, 0, 1), (3, 4, 1)}
    assert {tuple(three) for three in frames[shuffled].tolist()} == outside


def test_a_video_of_fewer_than_five_frames_counts_nothing(random_view):
    model = objective(shuffle_fraction=0.0)
    one = random_view([4, 2]), random_view([3, 4])
    loss = model(*one)
    loss.backward()
    assert loss == 0 and all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_order_of_embeddings_that_tell_the_time_is_learned_and_of_constant_ones_it_is_not(
    random_view, losses_of_adam
):
    time = torch.linspace(-2, 2, 40)[None, :, None].expand(8, 40, 1)
    telling, silent = (random_view([40] * 8)._replace(z=z) for z in (time, 0 * time))

    def trained(one):
        """Mean loss of the last steps of a classifier of fixed embeddings."""
        model = objective(width=1)
        losses = losses_of_adam(model.parameters(), lambda: model(one, one), lr=0.01, num_steps=150)
        return sum(losses[-30:]) / 30

    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert trained(telling) < 0.6 * entropy
    assert trained(silent) == pytest.approx(entropy, abs=0.01)


def test_it_is_found_by_its_name():
    model = make_objective(parse_objective({"name": "sal", "triplets": 3}), 4)
    assert isinstance(model, Objective) and len(list(model.parameters())) == 6
