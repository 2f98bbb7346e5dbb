import math

import pytest
import torch

from pipeline.objectives.vsp import Objective, Settings, draw_bridges


def value(settings, a, b):
    torch.manual_seed(1)
    return Objective(settings, a.z.shape[-1])(a, b)


def slow_view(one, settings):
    """The loss of a view, number by number, from the draws that the objective makes."""
    frames, valid = draw_bridges(one.keep, settings)
    bridges = [(b, frames[b, s].tolist()) for b, s in valid.nonzero().tolist()]
    losses = []
    for q, (b, (head, point, tail)) in enumerate(bridges):
        t_head, t_point, t_tail = (
            one.time[b, i].item() * settings.steps / one.num_frames[b].item() for i in (head, point, tail)
        )
        alpha = (t_point - t_head) / (t_tail - t_head)
        ends = zip(one.z[b, head].tolist(), one.z[b, tail].tolist(), strict=True)
        mean = [(1 - alpha) * x + alpha * y for x, y in ends]
        variance = alpha * (t_tail - t_point)
        if settings.spread == "vsp":
            variance = variance**2

        def logit(video, frame, mean=mean, variance=variance):
            return -(math.dist(one.z[video, frame].tolist(), mean) ** 2) / (2 * variance)

        negatives = [
            math.exp(logit(video, frame))
            for other, (video, three) in enumerate(bridges)
            if other != q and (settings.negatives == "batch" or video == b)
            for frame in three
        ]
        own = math.exp(logit(b, point))
        losses.append(-math.log(own / (own + sum(negatives))))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("spread", ["vsp", "literal"])
@pytest.mark.parametrize("negatives", ["batch", "video"])
def test_equals_the_formula(random_view, spread, negatives):
    settings = Settings(spread=spread, negatives=negatives, bridges=3, steps=20)
    a, b = random_view([12, 4], step=2), random_view([7, 9], seed=1, step=2)
    loss = value(settings, a, b)
    torch.manual_seed(1)
    expected = (slow_view(a, settings) + slow_view(b, settings)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)  # float32 against float64, through exponentials


def test_bridges_cut_a_video_into_overlapping_parts():
    torch.manual_seed(0)
    heads, points, tails = set(), set(), set()
    for _ in range(300):
        frames, valid = draw_bridges(torch.ones(1, 101, dtype=torch.bool), Settings(overlap=0.4))
        head, point, tail = frames[0].unbind(dim=1)
        assert valid.all() and (head < point).all() and (point < tail).all()
        assert 0 <= head[0] <= 5 and 95 <= tail[-1] <= 100
        ends = torch.tensor([20, 40, 60, 80])
        # A bridge of 20 frames reaches at most 20 * 0.4 / (2 - 0.4) = 5 frames further on each side.
        assert (head[1:] <= ends).all() and (head[1:] >= ends - 5).all()
        assert (tail[:-1] >= ends).all() and (tail[:-1] <= ends + 5).all()
        heads.add(head[2].item())
        points.add(point[2].item())
        tails.add(tail[2].item())
    assert heads == {35, 36, 37, 38, 39, 40} and tails == {60, 61, 62, 63, 64, 65}
    assert min(points) < 40 and max(points) > 60


@pytest.mark.parametrize("num_frames, expected", [(2, 0), (3, 1), (4, 1), (5, 2), (10, 4), (11, 5), (50, 5)])
def test_a_short_video_has_fewer_bridges(num_frames, expected):
    _, valid = draw_bridges(torch.ones(1, num_frames, dtype=torch.bool), Settings())
    assert valid.sum() == expected


def test_of_constant_embeddings_the_loss_is_the_log_of_the_number_of_candidates(random_view):
    one = random_view([40, 40], step=2)
    one = one._replace(z=torch.zeros_like(one.z))
    assert value(Settings(), one, one).item() == pytest.approx(math.log(1 + 9 * 3))
    assert value(Settings(negatives="video"), one, one).item() == pytest.approx(math.log(1 + 4 * 3))


def test_a_straight_path_has_a_lower_loss_than_a_shuffled_one(random_view):
    line = 8 * torch.arange(60.0)[None, :, None].expand(2, 60, 4)
    straight = random_view([60, 60])._replace(z=line + torch.tensor([[[0.0]], [[2000.0]]]))
    torch.manual_seed(0)
    shuffled = straight._replace(z=straight.z[:, torch.randperm(60)])
    assert value(Settings(), straight, straight) < 0.1
    assert value(Settings(), shuffled, shuffled) > 5


def test_training_free_embeddings_lowers_the_loss(random_view, losses_of_adam):
    a, b = random_view([30], step=2), random_view([24], seed=1, step=2)
    z = [one.z.clone().requires_grad_() for one in (a, b)]
    objective = Objective(Settings(), 4)
    torch.manual_seed(0)
    losses = losses_of_adam(z, lambda: objective(a._replace(z=z[0]), b._replace(z=z[1])), lr=0.1, num_steps=150)
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
