"""What an objective promises (`AlignmentObjective`), of every one that is known and of its settings that matter to it."""

import importlib
import math

import pytest
import torch

from pipeline.objectives.registry import known_objectives, make_objective, parse_objective

VARIANTS = {
    "lav": [{"weights": "paper"}],
    "regression_matching": [{"scale": "literal"}],
    "steps": [{"bootstrap": "all"}, {"bootstrap": "none"}],
    "tcc": [{"variance_aware": False}, {"cycle": "classification"}],
    "tcn": [{"form": "triplet"}],
    "vsp": [{"negatives": "video"}],
}
EVERY = [{"name": name, **changes} for name in known_objectives() for changes in ({}, *VARIANTS.get(name, ()))]
DRAWN = {"sal", "tcn", "vsp"}  # of frames drawn at random, so that a frame may have no gradient


def label(settings):
    return "-".join(map(str, settings.values()))


def made(settings):
    torch.manual_seed(0)
    return make_objective(parse_objective(settings), 4)


def finished(settings, a, b):
    """The loss, and the gradients of z, of parts if it looks at them, and of parameters."""
    objective = made(settings)
    cues = [cue.requires_grad_() for side in (a, b) for cue in (side.z, *side.parts)]
    torch.manual_seed(1)
    loss = objective(a, b)
    loss.backward()
    assert a.z.grad is not None and b.z.grad is not None
    return loss.detach(), [x.grad for x in (*cues, *objective.parameters()) if x.grad is not None]


def test_those_of_the_folder_are_known_and_their_parts_are_not():
    assert known_objectives() == ["lav", "regression_matching", "sal", "steps", "tcc", "tcn", "vava", "vsp"]


@pytest.mark.parametrize("name", known_objectives())
def test_it_is_found_by_its_name_and_told_its_settings(name):
    objective = made({"name": name, "frames": 7})
    assert isinstance(objective, importlib.import_module(f"pipeline.objectives.{name}").Objective)
    assert (objective.settings.name, objective.settings.frames) == (name, 7)
    assert objective.pairs == ("augmented" if name == "regression_matching" else "two_videos")


@pytest.mark.parametrize("settings", EVERY, ids=label)
@pytest.mark.parametrize("garbage", [1e4, math.nan, math.inf])
def test_padding_has_no_influence_and_no_gradient(random_view, settings, garbage):
    losses = {}
    for longest, padding in ((12, 0.0), (12, garbage), (20, garbage)):
        how = {"longest": longest, "widths": (4, 4, 3), "step": 3, "padding": padding}
        a, b = random_view([9, 5], **how), random_view([7, 12], seed=1, **how)
        losses[longest, padding], grads = finished(settings, a, b)
        assert all(torch.isfinite(grad).all() for grad in grads)
        for side in (a, b):
            for cue in (side.z, *side.parts):
                assert cue.grad is None or (cue.grad[~side.keep] == 0).all()
            moved = (side.z.grad != 0).any(dim=-1)
            assert moved.any(dim=1).all() if settings["name"] in DRAWN else moved[side.keep].all()
    assert losses[12, garbage] == losses[12, 0.0]
    torch.testing.assert_close(losses[20, garbage], losses[12, 0.0])


CONTENTS = {
    "random": lambda z: z,
    "one point": lambda z: z[:, :1].expand_as(z),
    "zero": lambda z: 0 * z,
    "constant": lambda z: 0 * z + 3,
    "large": lambda z: 1e6 * z,
    "small": lambda z: 1e-6 * z,
}


# The drawn starts of TCC are as many as the longest sequence tells, so that padding does count there.
degenerate = pytest.mark.parametrize("settings", [*EVERY, {"name": "tcc", "starts": 0.5}], ids=label)


def changed(side, change):
    return side._replace(z=change(side.z).clone(), parts=tuple(change(part).clone() for part in side.parts))


def assert_finite(settings, a, b, content):
    loss, grads = finished(settings, a, b)
    assert torch.isfinite(loss) and all(torch.isfinite(grad).all() for grad in grads), content


@degenerate
@pytest.mark.parametrize("lengths", [([2], [2]), ([5], [2]), ([40], [2]), ([2, 40], [40, 3])])
def test_degenerate_sequences_have_a_finite_loss_and_finite_gradients(random_view, settings, lengths):
    a, b = (random_view(side, widths=(4, 4, 6), seed=seed, step=3) for seed, side in enumerate(lengths))
    for content, change in CONTENTS.items():
        assert_finite(settings, changed(a, change), changed(b, change), content)


@degenerate
@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_and_the_opposite_sequence_have_a_finite_loss_and_finite_gradients(random_view, settings, sign):
    one = random_view([9], widths=(4, 4, 6), step=10)
    for content, change in CONTENTS.items():
        assert_finite(
            settings, changed(one, change), changed(one, lambda cue, change=change: sign * change(cue)), content
        )
