import math
from itertools import chain

import pytest
import torch

from pipeline.objectives.base import View
from pipeline.objectives.steps import Objective, Settings, looking_alike


def unit(vector, width):
    norm = math.sqrt(sum(value**2 for value in vector))
    return [value / norm for value in vector] + [0.0] * (width - len(vector))


def standardised(vector):
    mean = sum(vector) / len(vector)
    variance = sum((value - mean) ** 2 for value in vector) / len(vector)
    return [(value - mean) / math.sqrt(variance + 1e-5) for value in vector]  # 1e-5: layer_norm's


def slow_attract(time, asked, window):
    """Row i: which frames j attract i."""
    n, rows = len(time), None
    if asked is not None:
        rows = [standardised(vector) for vector in asked]
    attract = [[False] * n for _ in range(n)]
    for i in range(n):
        around = [j for j in range(n) if j != i and abs(time[i] - time[j]) <= window]
        for j in range(n):
            attract[i][j] = abs(time[i] - time[j]) <= window
            if asked is not None and around:
                mean = sum(math.dist(rows[i], rows[k]) for k in around) / len(around)
                attract[i][j] |= math.dist(rows[i], rows[j]) < mean
    return attract


def slow_contrast(x, y, attract, time, num_frames, margin):
    total, n = 0.0, len(time)
    for i in range(n):
        for j in range(n):
            distance = max(math.dist(x[i], y[j]), 1e-3)  # the floor below which two frames count as equal
            weight = (time[i] / num_frames - time[j] / num_frames) ** 2 + 1
            total += distance / weight if attract[i][j] else weight * max(0.0, margin - distance)
    return total / n**2


def slow_view(one, settings):
    """The loss of a view, video by video, pair of frames by pair of frames."""
    losses = []
    for b in range(len(one.z)):
        n = int(one.keep[b].sum())
        time, num_frames = one.time[b, :n].tolist(), one.num_frames[b].item()
        z, parts = one.z[b, :n].tolist(), [part[b, :n].tolist() for part in one.parts]
        seen = parts or [z]
        asked = {
            "none": None,
            "first": seen[0],
            "all": [[*chain(*vectors)] for vectors in zip(*seen, strict=True)],
        }[settings.bootstrap]
        attract = slow_attract(time, asked, settings.window_frames)

        def cost(x, y, attract=attract, time=time, num_frames=num_frames):
            return slow_contrast(x, y, attract, time, num_frames, settings.margin)

        cues = [z, *parts] if len(parts) > 1 else [z]
        widest = max(len(cue[0]) for cue in cues)
        cues = [[unit(vector, widest) for vector in cue] for cue in cues]
        loss = sum(cost(cue, cue) for cue in cues)
        for other in cues[2:]:
            loss += settings.cross * (cost(cues[1], other) + cost(other, cues[1]))
        losses.append(loss)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("widths", [(4,), (4, 4), (4, 4, 4), (4, 4, 7, 2)])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bootstrap": "none", "window_frames": 3},
        {"bootstrap": "all", "window_frames": 6, "margin": 1.2, "cross": 0.3},
    ],
)
def test_equals_the_formula(random_view, widths, settings):
    settings = Settings(**settings)
    a, b = (
        random_view(lengths, widths=widths, seed=seed, step=3, dtype=torch.float64)
        for seed, lengths in enumerate(([9, 5], [3, 12]))
    )
    expected = (slow_view(a, settings) + slow_view(b, settings)) / 2
    assert Objective(settings, 4)(a, b).item() == pytest.approx(expected, rel=1e-9)


def test_single_precision_equals_the_formula(random_view):
    a, b = (random_view([9, 5], widths=(4, 4, 4), seed=seed, step=3) for seed in (0, 1))
    expected = (slow_view(a, Settings()) + slow_view(b, Settings())) / 2
    # The distance of a frame to itself is rounding error, of which the square root makes up to 1e-3 instead of 0.
    assert Objective(Settings(), 4)(a, b).item() == pytest.approx(expected, rel=1e-4)


def test_defaults_are_those_of_the_released_code():
    """The margin of its selfsup.py, bcidm_modalities and the three lambdas of its opts.py."""
    settings = Settings()
    assert (settings.margin, settings.bootstrap, settings.cross) == (2.0, "first", 1.0)


def test_far_frames_attract_each_other_if_they_look_alike():
    """Poses A, B and slightly changed a, b, by hand; the window is one frame."""
    pose = {"A": [2.0, 0.0, 0.0], "a": [2.0, 0.4, 0.0], "B": [0.0, 0.0, 2.0], "b": [0.0, 0.4, 2.0]}
    z = torch.tensor([[pose[name] for name in "AaBbAa"]])
    one = View(z, torch.arange(6.0)[None], torch.tensor([6.0]), torch.ones(1, 6, dtype=torch.bool))
    alike = looking_alike(one, 1.0)[0]
    assert alike[0].tolist() == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]  # its only neighbour is a', which sets the mean
    assert alike[1].tolist() == [True, True, False, False, True, True]
    assert alike[2].tolist() == [False, False, True, True, False, False]


def test_what_looks_alike_gets_no_gradient(random_view):
    """z is pulled by its own distances only, however the first part, which is asked, would be pulled."""
    a = random_view([9, 5], widths=(4, 3), step=3)
    a.parts[0].requires_grad_()
    a.z.requires_grad_()
    Objective(Settings(), 4)(a, a).backward()
    assert a.parts[0].grad is None and (a.z.grad != 0).any()


def test_every_cue_is_pulled_and_z_of_several_is_one(random_view):
    a = random_view([9, 5], widths=(4, 4, 3), step=3)
    leaves = [cue.requires_grad_() for cue in (a.z, *a.parts)]
    Objective(Settings(), 4)(a, a).backward()
    for leaf in leaves:
        assert (leaf.grad[a.keep] != 0).any(dim=-1).all()


def test_of_two_frames_in_the_window_the_loss_is_by_hand():
    """At right angles: half of the ordered pairs of frames are sqrt(2) apart; 2 of 4 frames of time between them."""
    z = torch.tensor([[[3.0, 0.0], [0.0, 0.5]]])
    one = View(z, torch.tensor([[1.0, 3.0]]), torch.tensor([4.0]), torch.ones(1, 2, dtype=torch.bool))
    weight = 1 + 0.5**2
    attracted = Objective(Settings(), 2)(one, one).item()
    assert attracted == pytest.approx(math.sqrt(2) / weight / 2, abs=1e-3)  # the floor of a distance is 1e-3, not 0
    repelled = Objective(Settings(window_frames=1), 2)(one, one).item()
    assert repelled == pytest.approx(weight * (2 - math.sqrt(2)) / 2, abs=1e-3)


def path(num_frames, turns=0.5):
    angle = torch.linspace(0, turns * 2 * math.pi, num_frames)
    return torch.stack([angle.cos(), angle.sin(), torch.zeros(num_frames)], dim=-1)[None]


@pytest.mark.parametrize("num_parts", [0, 2])
def test_a_path_has_a_lower_loss_than_a_shuffled_and_a_collapsed_one(num_parts):
    n = 60
    objective, keep = Objective(Settings(), 3), torch.ones(1, n, dtype=torch.bool)

    def loss(z):
        one = View(z, torch.arange(n)[None].float(), torch.tensor([float(n)]), keep, (z,) * num_parts)
        return objective(one, one).item()

    shuffled = path(n)[:, torch.randperm(n, generator=torch.manual_seed(0))]
    assert loss(path(n)) < loss(shuffled)
    assert loss(path(n)) < loss(torch.ones(1, n, 3))


def test_training_free_embeddings_lowers_the_loss_and_brings_cues_together(losses_of_adam):
    """From random walks: frames near in time are alike from the start, as those of a movement are to any encoder."""
    n = 30
    free = torch.randn(3, 1, n, 6, generator=torch.manual_seed(0)).cumsum(dim=2).requires_grad_()
    objective, keep = Objective(Settings(window_frames=3), 6), torch.ones(1, n, dtype=torch.bool)

    def loss():
        z, *parts = free
        one = View(z, torch.arange(n)[None].float(), torch.tensor([float(n)]), keep, tuple(parts))
        return objective(one, one)

    losses = losses_of_adam([free], loss, lr=0.05, num_steps=200)
    assert losses[-1] < 0.5 * losses[0]
    first, second = torch.nn.functional.normalize(free.detach()[1:, 0], dim=-1)
    nearest = (first @ second.T).argmax(dim=1)
    away = (nearest - torch.arange(n)).abs()
    assert away.median() == 0 and away.max() <= 3  # 3: the window, in which all attract each other
