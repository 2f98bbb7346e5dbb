"""CASA's network (Kwon et al., CVPR 2022) against its released code's steps, number by number."""

import math

import pytest
import torch
from pydantic import ValidationError

from pipeline.checkpoint import load_network, new_network, save_network
from pipeline.config import InputError
from pipeline.models.attention import linear_attention
from pipeline.models.config import BranchSpec, ModelConfig, sized
from pipeline.models.network import AlignmentNetwork, Sequences
from pipeline.models.positions import SinePositions, sinusoids

CASA = {
    "spatial": "flat",
    "width": None,
    "heads": None,
    "head_width": None,
    "temporal_transformer": False,
    "positions": "sine",
    "cross_layers": "self_cross",
}


def network(shape=(25, 3), seed=0, **settings):
    torch.manual_seed(seed)
    return AlignmentNetwork({"pose3d": BranchSpec(ModelConfig(**{**CASA, **settings}), shape)}, 20).eval()


def sequences(lengths, shape=(25, 3), seed=0):
    torch.manual_seed(seed)
    return Sequences((torch.randn(sum(lengths), *shape),), torch.tensor(lengths))


def linear(weights, name, x):
    """Each row of x (lists) times a layer's weights, number by number."""
    weight, bias = weights[f"{name}.weight"].tolist(), weights.get(f"{name}.bias")
    bias = [0.0] * len(weight) if bias is None else bias.tolist()
    return [
        [sum(w * v for w, v in zip(row, token, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
        for token in x
    ]


def relu(x):
    return [[max(0.0, value) for value in token] for token in x]


def add(x, y):
    return [[a + b for a, b in zip(*tokens, strict=True)] for tokens in zip(x, y, strict=True)]


def normed(weights, name, x):
    """Layer normalisation, epsilon 1e-5."""
    gain, shift = weights[f"{name}.weight"].tolist(), weights[f"{name}.bias"].tolist()
    result = []
    for token in x:
        mean = sum(token) / len(token)
        std = math.sqrt(sum((value - mean) ** 2 for value in token) / len(token) + 1e-5)
        result.append([(v - mean) / std * g + s for v, g, s in zip(token, gain, shift, strict=True)])
    return result


def slow_attention(q, k, v, heads):
    """Lists (T, D), (S, D), (S, D): head by head, weights (elu(q) + 1) . (elu(k) + 1) that sum to one over S."""

    def feature(value):
        return value + 1 if value > 0 else math.exp(value)

    size = len(q[0]) // heads
    result = [[0.0] * len(q[0]) for _ in q]
    for head in range(heads):
        own = range(head * size, (head + 1) * size)
        for t, query in enumerate(q):
            weights = [sum(feature(query[i]) * feature(key[i]) for i in own) for key in k]
            for i in own:
                result[t][i] = sum(w * value[i] for w, value in zip(weights, v, strict=True)) / (sum(weights) + 1e-6)
    return result


def slow_layer(weights, name, x, source, heads):
    projected = (
        linear(weights, f"{name}.{part}", tokens) for part, tokens in (("query", x), ("key", source), ("value", source))
    )
    message = normed(
        weights, f"{name}.norm_message", linear(weights, f"{name}.merge", slow_attention(*projected, heads))
    )
    both = [a + b for a, b in zip(x, message, strict=True)]
    message = linear(weights, f"{name}.mlp.2", relu(linear(weights, f"{name}.mlp.0", both)))
    return add(x, normed(weights, f"{name}.norm_mlp", message))


def slow_casa(weights, a, b, heads, depth):
    """Features and embeddings of two sequences (T, K, d) in each other's sight."""
    tokens = []
    for frames in (a, b):
        x = frames.flatten(1).tolist()
        width = len(x[0])
        even = width + width % 2
        for name in ("cross.mlp.0", "cross.mlp.2"):
            x = relu(linear(weights, name, x))
        for t, token in enumerate(x):
            for i in range(width):
                angle = t / 10_000 ** (2 * (i // 2) / even)
                token[i] = token[i] * math.sqrt(even) + (math.cos(angle) if i % 2 else math.sin(angle))
        tokens.append(x)
    x, y = tokens
    for n in range(depth):
        x = slow_layer(weights, f"cross.self_layers.{n}", x, x, heads)
        y = slow_layer(weights, f"cross.self_layers.{n}", y, y, heads)
        x = slow_layer(weights, f"cross.layers.{n}", x, y, heads)
        y = slow_layer(weights, f"cross.layers.{n}", y, x, heads)  # sees what x has become
    z = [linear(weights, "head.layers.2", relu(linear(weights, "head.layers.0", u))) for u in (x, y)]
    return (x, y), z


def test_the_whole_network_equals_its_parts_number_by_number():
    shape, depth = (5, 3), 2  # 15 numbers: 3 heads of 5
    model = network(shape, cross_depth=depth)
    with torch.no_grad():  # or layer normalisations would not be told from the identity
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
    weights = {name.removeprefix("branches.pose3d."): value.double() for name, value in model.state_dict().items()}
    a, b = sequences([4], shape), sequences([6], shape, seed=1)
    u, z = slow_casa(weights, a.frames[0].double(), b.frames[0].double(), 3, depth)
    for found, expected in zip((*model.features(a, b), *model(a, b)), (*u, *z), strict=True):
        torch.testing.assert_close(found[0], torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_the_parameters_are_casas():
    """475,200 on Penn Action's 25 joints in 3D: MLP, 4 x (self, cross) and projection head."""
    model = network()
    branch = model.branches["pose3d"]
    counts = [
        sum(p.numel() for p in part.parameters())
        for part in (model, branch.cross.mlp, branch.cross.layers[0], model.head)
    ]
    assert counts == [475_200, 2 * (75 * 75 + 75), 4 * 75**2 + 150 * 150 + 150 * 75 + 4 * 75, 2 * (75 * 75 + 75)]
    assert len(branch.cross.layers) == len(branch.cross.self_layers) == 4 and model.width == 75


@pytest.mark.parametrize(
    "shape, heads, head_width", [((25, 3), 15, 5), ((42, 3), 21, 6), ((17, 3), 3, 17), ((2, 2), 1, 4)]
)
def test_heads_are_as_many_as_casa_has_on_its_data_sets(shape, heads, head_width):
    config = sized(BranchSpec(ModelConfig(**CASA), shape)).config
    assert (config.width, config.heads, config.head_width) == (math.prod(shape), heads, head_width)


def test_sine_positions_by_hand():
    """Width 3 is taken as 4: x * 2 + (sin t, cos t, sin(t / 100))."""
    x = torch.tensor([[[1.0, -2, 0.5], [0, 0, 0], [3, 1, 2]]])
    expected = [
        [2 + 0.0, -4 + 1.0, 1 + 0.0],
        [0.84147098, 0.54030231, 0.00999983],
        [6 + 0.90929743, 2 - 0.41614684, 4 + 0.01999867],
    ]
    torch.testing.assert_close(SinePositions()(x, torch.tensor([3]))[0], torch.tensor(expected))
    assert not list(SinePositions().parameters())
    torch.testing.assert_close(sinusoids(2, 4)[1], torch.tensor([0.84147098, 0.54030231, 0.00999983, 0.99995000]))


def test_linear_attention_by_hand():
    """One head of one number: features of 1, 0 are 2, 1 and of the keys 2, -inf are 3, 0; the second key is unheard."""
    q, k, v = torch.tensor([1.0, 0]), torch.tensor([2.0, -math.inf, 0]), torch.tensor([10.0, 99, 30])
    found = linear_attention(q.view(1, 1, 2, 1), k.view(1, 1, 3, 1), v.view(1, 1, 3, 1), None)
    torch.testing.assert_close(found.flatten(), torch.tensor([15.0, 15.0]))  # (3 * 10 + 1 * 30) / 4
    keep = torch.tensor([[True, True, False]])
    found = linear_attention(q.view(1, 1, 2, 1), k.view(1, 1, 3, 1), v.view(1, 1, 3, 1), keep)
    torch.testing.assert_close(found.flatten(), torch.tensor([10.0, 10.0]))


def test_projection_head_by_hand():
    head = network((1, 2)).head
    for name, values in {
        "layers.0.weight": [[1.0, 2], [-1, 1]],
        "layers.0.bias": [0.5, -1],
        "layers.2.weight": [[1.0, 1], [2, -1]],
        "layers.2.bias": [0.0, 1],
    }.items():
        head.get_parameter(name).data = torch.tensor(values)
    # (1, 3) -> (7.5, 1) -> (8.5, 15); (2, 0) -> (2.5, -3 cut to 0) -> (2.5, 6)
    torch.testing.assert_close(head(torch.tensor([[[1.0, 3], [2, 0]]]))[0], torch.tensor([[8.5, 15], [2.5, 6]]))


def test_the_first_sequence_is_what_is_evaluated_of_a_pair_with_itself():
    model, a = network(cross_depth=1), sequences([6])
    first, second = model.features(a, a)
    torch.testing.assert_close(model.self_features(a), first)
    assert (first - second).abs().max() > 1e-3  # the second has seen the first changed


def test_padding_takes_part_without_masks_only_and_gets_no_gradient_with_them():
    together = sequences([4, 9])
    alone = Sequences((together.frames[0][:4],), torch.tensor([4]))
    for masks in (True, False):
        model = network(masks=masks)
        difference = (model.self_features(together)[0, :4] - model.self_features(alone)[0]).abs().max()
        assert difference < 1e-4 if masks else difference > 1e-3
    frames = together.frames[0].clone().requires_grad_()
    u, _ = network().features(Sequences((frames,), together.lengths), together)
    u[0].square().sum().backward()  # padded to nine
    assert (frames.grad[:4] != 0).any() and (frames.grad[4:] == 0).all()


@pytest.mark.parametrize("frames", [torch.zeros(5, 25, 3), torch.ones(5, 25, 3), 100 * torch.randn(5, 25, 3)])
def test_odd_frames_have_finite_features_and_gradients(frames):
    model, a = network(), Sequences((frames,), torch.tensor([3, 2]))
    z, other = model(a, a)
    (z.square().sum() + other.square().sum()).backward()
    assert torch.isfinite(z).all() and all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_layers_start_as_glorots():
    """As LoFTR's: uniform within sqrt(6 / (inputs + outputs)); MLP and head start as torch's own."""
    model = network(seed=3)
    for name, weight in model.named_parameters():
        if "layers" in name and "head" not in name and weight.ndim == 2:
            bound = math.sqrt(6 / sum(weight.shape))
            assert 0.97 * bound < weight.abs().max() <= bound, name
    assert model.branches["pose3d"].cross.mlp[0].weight.abs().max() <= math.sqrt(1 / 75)


def test_it_is_saved_with_what_it_takes_to_build_it_again(tmp_path):
    limbs = ((0, 1), (1, 2))
    model = new_network({"pose3d": BranchSpec(ModelConfig(**CASA), (25, 3), limbs)}, 20, 7)
    save_network(model, 7, tmp_path / "seed_7")
    for trained in (True, False):
        loaded = load_network(tmp_path / "seed_7", trained)
        assert loaded.specs == model.specs
        for name, value in model.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], value, atol=0, rtol=0)


def test_fusion_with_pictures_is_as_wide_as_the_coordinates():
    """CASA + RGB (paper Table 8)."""
    torch.manual_seed(0)
    rgb = ModelConfig(patch_px=16, spatial_depth=1, temporal_depth=1, cross_depth=1)
    specs = {"pose3d": BranchSpec(ModelConfig(**CASA), (25, 3)), "rgb": BranchSpec(rgb, (3, 32, 32))}
    model = AlignmentNetwork(specs, 20).eval()
    assert model.width == 75 and model.fusion.linear.weight.shape == (75, 75 + 192)
    pictures = [torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8) for _ in range(2)]
    coordinates = [torch.randn(9, 25, 3) for _ in range(2)]
    lengths = torch.tensor([5, 4])
    u = [model.self_features(Sequences((c, p), lengths)) for c in coordinates for p in pictures]
    assert u[0].shape == (2, 5, 75)
    assert min((u[i] - u[j]).abs().max() for i in range(4) for j in range(i)) > 1e-3
    z, _ = model(Sequences((coordinates[0], pictures[0]), lengths), Sequences((coordinates[1], pictures[1]), lengths))
    z[0].square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"width": 64}, "width null and spatial flat go together, got 64 and flat"),
        ({"spatial": "mlp"}, "width null and spatial flat go together, got None and mlp"),
        ({"position_drift": 2.0}, "position_drift is of learned positions"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        ModelConfig(**{**CASA, **settings})


def test_heads_that_do_not_divide_the_width_and_grids_of_joints_are_refused():
    with pytest.raises(InputError, match=r"got 4 heads and width 75. Set model.heads to null"):
        network(heads=4)
    with pytest.raises(InputError, match=r"grids of pixels for spatial: transformer, but got 25 joints. Choose flat"):
        network(spatial="transformer", width=192)
