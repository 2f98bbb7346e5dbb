import math

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.parts.sampling import random_frames
from pipeline.objectives.tcn import Objective, Settings, draw_negative, draw_positive, frame_distances

FORMS = ["n_pairs", "triplet"]


def value(settings, a, b):
    torch.manual_seed(1)
    return Objective(settings, a.z.shape[-1])(a, b)


def slow_view(one, settings):
    """Numbers from the draws that the objective makes, in its order."""
    anchors, valid = random_frames(one.keep, settings.anchors)
    distance = frame_distances(one, anchors)
    positives = draw_positive(distance, settings)
    negatives = draw_negative(distance, settings) if settings.form == "triplet" else positives

    def unit(z):
        length = math.sqrt(sum(x * x for x in z))
        return [x / length for x in z]

    total = 0.0
    for z, a, p, n, v in zip(one.z, anchors, positives, negatives, valid, strict=True):
        triplets = [
            [z[i].tolist() for i in three] for three, ok in zip(zip(a, p, n, strict=True), v, strict=True) if ok
        ]
        loss = 0.0
        for anchor, positive, negative in triplets:
            if settings.form == "n_pairs":
                scores = [sum(x * y for x, y in zip(anchor, other[1], strict=True)) for other in triplets]
                own = sum(x * y for x, y in zip(anchor, positive, strict=True))
                log_sum = math.log(sum(math.exp(score / settings.temperature) for score in scores))
                norms = sum(x * x for x in anchor) + sum(x * x for x in positive)
                loss += log_sum - own / settings.temperature + 0.25 * settings.regularization * norms
            else:
                near = math.dist(unit(anchor), unit(positive)) ** 2
                far = math.dist(unit(anchor), unit(negative)) ** 2
                loss += max(0.0, near - far + settings.margin)
        total += loss / len(triplets)
    return total / len(one.z)


@pytest.mark.parametrize("form", FORMS)
def test_equals_the_formula(random_view, form):
    settings = Settings(form=form, anchors=5, temperature=2.0, regularization=0.1)
    a, b = random_view([12, 4], step=2), random_view([7, 9], seed=1, step=2)
    loss = value(settings, a, b)
    torch.manual_seed(1)
    expected = (slow_view(a, settings) + slow_view(b, settings)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_n_pairs_of_identical_frames_is_the_log_of_their_number(random_view):
    one = random_view([8])
    one = one._replace(z=torch.zeros_like(one.z))
    assert value(Settings(anchors=6), one, one).item() == pytest.approx(math.log(6))


def test_a_positive_is_another_frame_within_the_window_and_a_negative_is_not(random_view):
    torch.manual_seed(0)
    one = random_view([20, 9], step=2)
    anchors = torch.arange(9).expand(2, 9)
    distance = frame_distances(one, anchors)
    seen = set()
    for _ in range(100):
        gap = distance.gather(2, draw_positive(distance, Settings())[..., None])
        assert gap.min() > 0 and gap.max() <= 5
        seen |= set(gap.flatten().tolist())
        far = draw_negative(distance, Settings())[..., None]
        assert distance[:1].gather(2, far[:1]).min() >= 10
        # In the short video, frame 4 has none 10 frames away, so its farthest is taken.
        assert distance[1, 4, far[1, 4]] == 8
    assert seen == {2, 4}


def test_without_a_frame_within_the_window_the_nearest_is_positive():
    one = View(torch.zeros(1, 4, 2), torch.tensor([[0.0, 30, 50, 90]]), torch.tensor([91.0]), torch.ones(1, 4).bool())
    distance = frame_distances(one, torch.arange(4)[None])
    assert draw_positive(distance, Settings()).tolist() == [[1, 2, 1, 2]]


@pytest.mark.parametrize("form", FORMS)
def test_smooth_embeddings_have_a_lower_loss_than_shuffled_ones(random_view, form):
    torch.manual_seed(0)
    angle = torch.linspace(0, 3, 60)
    smooth = random_view([60])._replace(z=5 * torch.stack([angle.cos(), angle.sin()], dim=-1)[None])
    shuffled = smooth._replace(z=smooth.z[:, torch.randperm(60)])
    settings = Settings(form=form)
    assert value(settings, smooth, smooth) < 0.8 * value(settings, shuffled, shuffled)


@pytest.mark.parametrize("form", FORMS)
def test_training_free_embeddings_lowers_the_loss(random_view, losses_of_adam, form):
    a, b = random_view([30]), random_view([24], seed=1)
    z = [one.z.clone().requires_grad_() for one in (a, b)]
    objective = Objective(Settings(form=form), 4)
    torch.manual_seed(0)
    losses = losses_of_adam(z, lambda: objective(a._replace(z=z[0]), b._replace(z=z[1])), lr=0.05, num_steps=100)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
