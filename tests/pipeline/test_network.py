import hashlib

import numpy as np
import pytest
import torch

from pipeline.config import InputError
from pipeline.models import vivit
from pipeline.models.attention import linear_attention, softmax_attention
from pipeline.models.network import AlignmentNetwork, BranchSpec, ModelConfig, Sequences
from pipeline.models.positions import TemporalPositions

SMALL = {"spatial_depth": 1, "temporal_depth": 1, "cross_depth": 1}


def network(channels=27, max_frames=20, size_px=30, **settings):
    torch.manual_seed(0)
    return AlignmentNetwork({"pose2d": spec((channels, size_px, size_px), **settings)}, max_frames).eval()


def spec(shape, **settings):
    return BranchSpec(ModelConfig(**{**SMALL, **settings}), shape)


def sequences(lengths, channels=27, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (sum(lengths), channels, 30, 30), dtype=np.uint8)
    return Sequences((torch.from_numpy(frames),), torch.tensor(lengths))


def test_parameter_counts_of_the_paper():
    """4,496,064 on Penn Action's 49 channels and 5.13 million on H2O's 82, position tables not counted."""
    for channels, expected in ((49, 4_496_064), (82, 5_129_664)):
        specs = {"pose2d": BranchSpec(ModelConfig(), (channels, 30, 30))}
        encoder = AlignmentNetwork(specs, 100).branches["pose2d"].encoder
        assert sum(p.numel() for name, p in encoder.named_parameters() if "positions" not in name) == expected


def test_the_default_network_is_the_one_that_published_results_are_of():
    """Names, shapes, initial weights and outputs of a seed: what is added for other methods must not change them."""
    torch.manual_seed(0)
    model = AlignmentNetwork({"pose2d": BranchSpec(ModelConfig(), (49, 30, 30))}, 100).eval()
    state = model.state_dict()
    shapes = "\n".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
    assert hashlib.sha256(shapes.encode()).hexdigest().startswith("bab1a6eb51fb0734")
    assert sum(value.numel() for value in state.values()) == 6_162_048 and model.width == 192
    for name, total in {
        "branches.pose2d.encoder.spatial.embed.weight": 6718.949332,
        "branches.pose2d.cross.layers.3.mlp.2.weight": 1883.064153,
        "head.layers.2.bias": 6.939193,
    }.items():
        assert state[name].double().abs().sum().item() == pytest.approx(total, rel=1e-6)
    a = sequences([5, 4], channels=49)
    z = model(a, a)[0].double()
    assert z.abs().sum().item() == pytest.approx(630.75268, rel=1e-5)
    torch.testing.assert_close(
        z[1, 3, :4], torch.tensor([0.7093438, 0.5316919, 0.6593242, 0.6725168]).double(), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_a_sequence_is_embedded_alike_alone_and_beside_longer_ones(attention):
    model = network(attention=attention)
    batch = sequences([5, 9, 26])  # the last is longer than max_frames
    together = model.self_features(batch)
    start = 0
    for row, length in zip(together, [5, 9, 26], strict=True):
        alone = Sequences((batch.frames[0][start : start + length],), torch.tensor([length]))
        torch.testing.assert_close(row[:length], model.self_features(alone)[0], atol=2e-5, rtol=1e-4)
        start += length


def test_without_masks_padding_takes_part():
    model = network(masks=False)
    batch = sequences([5, 9])
    alone = model.self_features(Sequences((batch.frames[0][:5],), torch.tensor([5])))[0]
    assert (model.self_features(batch)[0, :5] - alone).abs().max() > 1e-3


def test_self_features_equal_features_of_a_pair_with_itself():
    model, batch = network(), sequences([7, 4])
    pair = model.features(batch, batch)
    torch.testing.assert_close(pair[0], pair[1])
    torch.testing.assert_close(pair[0], model.self_features(batch))


def test_cross_attention_sees_the_other_sequence_and_its_absence_does_not():
    a, b, c = sequences([6]), sequences([8], seed=1), sequences([8], seed=2)
    model = network()
    assert (model(a, b)[0] - model(a, c)[0]).abs().max() > 1e-4
    without = network(cross_attention=False)
    torch.testing.assert_close(without(a, b)[0], without(a, c)[0])


def test_without_positions_the_order_of_frames_does_not_matter():
    a = sequences([6])
    reverse = Sequences((a.frames[0].flip(0),), a.lengths)
    without = network(positional_encoding=False)
    torch.testing.assert_close(without.self_features(a).flip(1), without.self_features(reverse), atol=1e-5, rtol=1e-4)
    assert (network().self_features(a).flip(1) - network().self_features(reverse)).abs().max() > 1e-3


@pytest.mark.parametrize("ablation", [{"spatial": "mlp"}, {"temporal_transformer": False}, {"projection_head": False}])
def test_ablations_run_and_change_the_network(ablation):
    a = sequences([6, 3])
    z = network(**ablation)(a, a)[0]
    assert z.shape == (2, 6, 192) and not torch.equal(z, network()(a, a)[0])


def test_attention_against_loops():
    torch.manual_seed(1)
    q, k, v = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 5)
    keep = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    for attend, weight in (
        (softmax_attention, lambda a, b: torch.exp(a @ b / 5**0.5)),
        (linear_attention, lambda a, b: (torch.nn.functional.elu(a) + 1) @ (torch.nn.functional.elu(b) + 1)),
    ):
        result = attend(q, k, v, keep)
        for b in range(2):
            for h in range(3):
                for t in range(4):
                    weights = torch.stack([weight(q[b, h, t], k[b, h, s]) * keep[b, s] for s in range(6)])
                    torch.testing.assert_close(
                        result[b, h, t], (weights / weights.sum()) @ v[b, h], atol=1e-5, rtol=1e-4
                    )


def test_a_heatmap_that_patches_do_not_tile_is_refused():
    with pytest.raises(InputError, match="patch_px divides, but got 30 and 8"):
        network(patch_px=8)


def test_drifting_positions_hide_the_frame_number_in_training_only():
    torch.manual_seed(0)
    table = TemporalPositions(64, 8, drift=2.0)
    lengths = torch.tensor([20, 12])
    table.eval()
    torch.testing.assert_close(table.of(lengths)[0], table.table[:20])
    table.train()
    with torch.no_grad():
        table.table[:] = torch.arange(64.0)[:, None]  # each position says its place
    starts, steps = [], []
    for _ in range(200):
        place = table.of(lengths)[..., 0]
        assert place.min() >= 0 and place.max() <= 63
        step = place[0].diff()
        torch.testing.assert_close(step, step[:1].expand(19), atol=1e-4, rtol=0)
        starts.append(place[0, 0].item())
        steps.append(step[0].item())
        assert (place[1, :12].diff() > 0.49).all() and not torch.equal(place[0, :12], place[1, :12])
    assert min(steps) < 0.6 and 1.7 < max(steps) <= 2
    assert min(starts) < 3 and max(starts) > 40


def test_a_longer_sequence_gets_the_whole_table_stretched():
    table = TemporalPositions(5, 1)
    with torch.no_grad():
        table.table[:] = torch.arange(5.0)[:, None]
    long, short = table.of(torch.tensor([9, 3]))
    torch.testing.assert_close(long[:, 0], torch.arange(9) / 2)
    torch.testing.assert_close(short[:3, 0], torch.arange(3.0))


def test_centered_tokens_have_no_mean_over_the_frames_of_a_sequence():
    model = network(centered=True, temporal_transformer=False, cross_attention=False)
    batch = sequences([5, 9])
    tokens = model.self_features(batch)
    torch.testing.assert_close(tokens.sum(dim=1), torch.zeros(2, 192), atol=1e-4, rtol=0)


def fused(**settings):
    """Heatmaps of 27 channels, pictures and 3D coordinates, one branch each."""
    torch.manual_seed(0)
    specs = {
        "pose2d": spec((27, 30, 30), **settings),
        "rgb": spec((3, 32, 32), patch_px=16, **settings),
        "pose3d": spec((17, 3), spatial="mlp", **settings),
    }
    return AlignmentNetwork(specs, 20).eval()


def several(lengths, seed=0):
    rng, num_frames = np.random.default_rng(seed), sum(lengths)
    pictures = torch.from_numpy(rng.integers(0, 256, (num_frames, 3, 32, 32), dtype=np.uint8))
    coordinates = torch.from_numpy(rng.standard_normal((num_frames, 17, 3), dtype=np.float32))
    return Sequences((*sequences(lengths, seed=seed).frames, pictures, coordinates), torch.tensor(lengths))


def test_fusion_is_one_linear_layer_over_the_branches_features():
    model, a, b = fused(), several([6, 4]), several([5, 7], seed=1)
    u = [
        branch(of_a, of_b, (a.lengths, b.lengths), (a.keep, b.keep))
        for branch, of_a, of_b in zip(model.branches.values(), a.frames, b.frames, strict=True)
    ]
    linear = model.fusion.linear
    for side, features in enumerate(model.features(a, b)):
        expected = torch.cat([of_branch[side] for of_branch in u], dim=-1) @ linear.weight.T + linear.bias
        torch.testing.assert_close(features, expected)
    assert linear.weight.shape == (192, 3 * 192)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_every_modality_tells_in_the_fused_features(changed):
    model, a, other = fused(), several([6]), several([6], seed=1)
    frames = [other.frames[i] if i == changed else own for i, own in enumerate(a.frames)]
    assert (model.self_features(a) - model.self_features(Sequences(tuple(frames), a.lengths))).abs().max() > 1e-3


@pytest.mark.parametrize("settings", [{}, {"spatial": "mlp"}, {"input_px": 20}, {"centered": True}])
def test_frames_in_blocks_give_the_same_features_and_gradients(monkeypatch, settings):
    model, a = network(**settings), sequences([11, 7])
    results = []
    for tokens in (vivit.TOKENS, 8):
        monkeypatch.setattr(vivit, "TOKENS", tokens)
        monkeypatch.setattr(vivit, "TOKENS_PER_BLOCK", 5)
        model.zero_grad()
        u = model.self_features(a)
        u.square().sum().backward()
        results.append([u.detach(), *(p.grad.clone() for p in model.branches.parameters() if p.grad is not None)])
    assert len(results[0]) == len(results[1]) > 10
    for whole, blocks in zip(*results, strict=True):
        torch.testing.assert_close(blocks, whole, atol=1e-3, rtol=1e-3)


def test_pictures_are_shrunk_by_the_mean_of_what_a_pixel_covers():
    torch.manual_seed(0)
    small = AlignmentNetwork({"rgb": spec((3, 16, 16), patch_px=8)}, 20).eval()
    torch.manual_seed(0)
    large = AlignmentNetwork({"rgb": spec((3, 32, 32), patch_px=8, input_px=16)}, 20).eval()
    pictures = np.random.default_rng(0).integers(0, 64, (5, 3, 16, 16), dtype=np.uint8) * 4
    doubled = pictures.repeat(2, axis=2).repeat(2, axis=3)
    u = [
        model.self_features(Sequences((torch.from_numpy(frames),), torch.tensor([5])))
        for model, frames in ((small, pictures), (large, doubled))
    ]
    torch.testing.assert_close(*u)


def test_flat_frames_of_pixels_count_from_0_to_1():
    config = ModelConfig(
        width=None, heads=1, head_width=None, spatial="flat", temporal_transformer=False, cross_depth=1
    )
    torch.manual_seed(0)
    model = AlignmentNetwork({"rgb": BranchSpec(config, (1, 4, 4))}, 20).eval()
    pixels = torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8)
    u = [model.self_features(Sequences((frames,), torch.tensor([5]))) for frames in (pixels, pixels.float() / 255)]
    torch.testing.assert_close(*u)
