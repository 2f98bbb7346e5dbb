"""ST-GCN and ST-TR's spatial transformer against loops over joints, neighbours and frames."""

import math

import pytest
import torch

from pipeline.checkpoint import load_network, new_network, save_network
from pipeline.config import InputError
from pipeline.models import vivit
from pipeline.models.config import BranchSpec, ModelConfig
from pipeline.models.graph_convolution import GraphConvolution, partitions
from pipeline.models.graph_transformer import GraphTransformer, JointAttention
from pipeline.models.network import AlignmentNetwork, Sequences
from pipeline.skeleton import load_skeleton

CHAIN = ((0, 1), (1, 2), (1, 3), (3, 4))  # joint 1 is the centre
SMALL = {
    **{"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "temporal_depth": 1, "cross_depth": 1},
    **{"graph_width": 32, "graph_depth": 3},
}
BODY = load_skeleton("body_25")


def network(spatial, shape=(5, 3), limbs=CHAIN, seed=0, **settings):
    torch.manual_seed(seed)
    config = ModelConfig(**{**SMALL, "spatial": spatial, "spatial_depth": 3, **settings})
    return AlignmentNetwork({"pose3d": BranchSpec(config, shape, limbs)}, 20).eval()


def sequences(lengths, shape=(5, 3), seed=0):
    torch.manual_seed(seed)
    return Sequences((torch.randn(sum(lengths), *shape),), torch.tensor(lengths))


def disturbed(model):
    """Parameters and running statistics away from where they start, so that none of them can be forgotten."""
    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for n, b in model.named_buffers() if "running" in n)):
            tensor += 0.2 * torch.rand_like(tensor)
    return model


def test_partitions_by_hand():
    """From whom each joint of a small tree hears: itself, nearer to joint 1, farther from it."""
    itself, nearer, others = partitions(CHAIN, 5)
    shares = [1 / 2, 1 / 4, 1 / 2, 1 / 3, 1 / 2]  # of a joint and its neighbours
    torch.testing.assert_close(itself, torch.diag(torch.tensor(shares)))
    expected_nearer, expected_others = torch.zeros(5, 5), torch.zeros(5, 5)
    for source, target in ((1, 0), (1, 2), (1, 3), (3, 4)):
        expected_nearer[source, target] = shares[target]
        expected_others[target, source] = shares[source]
    torch.testing.assert_close(nearer, expected_nearer)
    torch.testing.assert_close(others, expected_others)


@pytest.mark.parametrize("name", ["body_25", "coco_17", "hands_42", "penn_13"])
def test_every_joint_hears_itself_and_its_neighbours_alike(name):
    """Also where limbs make rings, and where two hands are joined by none."""
    skeleton = load_skeleton(name)
    parts = partitions(skeleton.limbs, skeleton.num_joints)
    whole = parts.sum(dim=0)
    torch.testing.assert_close(whole.sum(dim=0), torch.ones(skeleton.num_joints))
    assert ((parts > 0).sum(dim=0) <= 1).all()
    limbs = {(a, b) for a, b in skeleton.limbs} | {(b, a) for a, b in skeleton.limbs}
    for source in range(skeleton.num_joints):
        for target in range(skeleton.num_joints):
            assert (whole[source, target] > 0) == (source == target or (source, target) in limbs)
    if name == "hands_42":
        assert parts[1, 0, 1] > 0 and parts[1, 21, 22] > 0  # each wrist is a centre


def slow_norm(layer, values, channel):
    """Batch normalisation of a number by the running statistics."""
    mean, variance = layer.running_mean[channel].item(), layer.running_var[channel].item()
    return (values - mean) / math.sqrt(variance + 1e-5) * layer.weight[channel].item() + layer.bias[channel].item()


def slow_unit(unit, parts, x):
    """One sequence x[t][k][c] through a unit."""
    num_frames, num_joints, channels = len(x), len(x[0]), len(x[0][0])
    weight, bias = unit.graph.weight.tolist(), unit.graph.bias.tolist()
    new_channels = len(weight) // 3
    heard = [[[0.0] * new_channels for _ in range(num_joints)] for _ in range(num_frames)]
    for t in range(num_frames):
        for target in range(num_joints):
            for c in range(new_channels):
                for part in range(3):
                    for source in range(num_joints):
                        share = parts[part][source][target] * unit.importance[part, source, target].item()
                        if share:
                            row = part * new_channels + c
                            value = bias[row] + sum(weight[row][i] * x[t][source][i] for i in range(channels))
                            heard[t][target][c] += share * value
                heard[t][target][c] = max(0.0, slow_norm(unit.norm_graph, heard[t][target][c], c))
    kernel, bias = unit.time.weight.tolist(), unit.time.bias.tolist()
    result = [[[0.0] * new_channels for _ in range(num_joints)] for _ in range(num_frames)]
    for t in range(num_frames):
        for k in range(num_joints):
            for c in range(new_channels):
                value = bias[c]
                for lag in range(-4, 5):
                    if 0 <= t + lag < num_frames:
                        value += sum(kernel[c][i][lag + 4][0] * heard[t + lag][k][i] for i in range(new_channels))
                value = slow_norm(unit.norm_time, value, c)
                if isinstance(unit.residual, torch.nn.Identity):
                    value += x[t][k][c]
                elif unit.residual is not None:
                    linear, norm = unit.residual[0], unit.residual[1].layer
                    projected = sum(linear.weight[c, i].item() * x[t][k][i] for i in range(channels))
                    value += slow_norm(norm, projected + linear.bias[c].item(), c)
                result[t][k][c] = max(0.0, value)
    return result


def test_graph_convolution_equals_loops_over_each_sequence():
    torch.manual_seed(0)
    model = disturbed(GraphConvolution((5, 2), CHAIN, width=8, depth=4)).eval()
    assert [unit.graph.out_features // 3 for unit in model.units] == [2, 2, 4, 8]
    assert [unit.residual is None for unit in model.units] == [True, False, False, False]
    frames, lengths = torch.randn(10, 5, 2), torch.tensor([7, 3])
    found = model(frames, lengths)
    parts = partitions(CHAIN, 5).tolist()
    start = 0
    for length in lengths.tolist():
        x = frames[start : start + length].tolist()
        x = [
            [[slow_norm(model.norm, x[t][k][i], 2 * k + i) for i in range(2)] for k in range(5)] for t in range(length)
        ]
        for unit in model.units:
            x = slow_unit(unit, parts, x)
        expected = torch.tensor(x).mean(dim=1)
        torch.testing.assert_close(found[start : start + length], expected, atol=1e-4, rtol=1e-4)
        start += length


def test_the_papers_depth_and_the_codes():
    """Three units of 64, 128 and 256 channels each; the released code has one more of 64.

    With a classifier of NTU's 60 actions, 15,420, these are the 3.10 M parameters that are reported of it.
    """
    for depth, counts in ((9, (3, 3, 3)), (10, (4, 3, 3)), (3, (1, 1, 1)), (2, (0, 1, 1)), (1, (0, 0, 1))):
        model = GraphConvolution((25, 3), BODY.limbs, width=256, depth=depth)
        channels = [unit.graph.out_features // 3 for unit in model.units]
        assert tuple(channels.count(number) for number in (64, 128, 256)) == counts
    released = GraphConvolution((25, 3), BODY.limbs, width=256, depth=10)
    expected = 2 * 75
    for before, after in [(3, 64), *[(64, 64)] * 3, (64, 128), *[(128, 128)] * 2, (128, 256), *[(256, 256)] * 2]:
        expected += 3 * 25 * 25 + 3 * after * (before + 1) + 9 * after**2 + after + 4 * after
        expected += (before + 3) * after if before not in (3, after) else 0
    assert sum(p.numel() for p in released.parameters()) == expected == 3_083_412


def test_running_statistics_are_of_real_frames_only():
    model = GraphConvolution((5, 3), CHAIN, width=8, depth=1).train()
    frames = 3 + torch.randn(9, 5, 3)
    model(frames, torch.tensor([7, 2]))  # padded to 14
    torch.testing.assert_close(model.norm.running_mean, 0.1 * frames.flatten(1).mean(dim=0))
    heard = 9 * 5
    assert model.units[0].norm_graph.num_batches_tracked == 1
    y = torch.einsum(
        "fkpc,pkj->fjc",
        model.units[0].graph(model.norm(frames.flatten(1)).view(9, 5, 3)).unflatten(-1, (3, -1)),
        model.parts,
    )
    assert y.shape[:2].numel() == heard
    torch.testing.assert_close(model.units[0].norm_graph.running_mean, 0.1 * y.mean(dim=(0, 1)), atol=1e-6, rtol=1e-4)


def slow_attention(layer, x):
    """One frame x[k][d]: every joint asks every joint, head by head."""
    num_joints = len(x)
    y = layer.norm(x)
    qkv = (y @ layer.qkv.weight.T + layer.qkv.bias).unflatten(1, (3, layer.heads, -1))
    size = qkv.shape[-1]
    gathered = torch.zeros(num_joints, layer.heads, size)
    for head in range(layer.heads):
        for asking in range(num_joints):
            scores = [
                math.exp(
                    sum(qkv[asking, 0, head, i].item() * qkv[other, 1, head, i].item() for i in range(size)) / size**0.5
                )
                for other in range(num_joints)
            ]
            for other in range(num_joints):
                gathered[asking, head] += scores[other] / sum(scores) * qkv[other, 2, head]
    y = x + gathered.flatten(1) @ layer.out.weight.T + layer.out.bias
    mean, variance = y.mean(dim=1, keepdim=True), y.var(dim=1, unbiased=False, keepdim=True)
    return ((y - mean) / (variance + 1e-5).sqrt() * layer.norm_out.weight + layer.norm_out.bias).clamp_min(0)


def test_joint_attention_equals_loops_over_joints():
    torch.manual_seed(0)
    layer = disturbed(JointAttention(6, heads=2, head_width=4))
    x = torch.randn(3, 5, 6)
    torch.testing.assert_close(
        layer(x), torch.stack([slow_attention(layer, frame) for frame in x]), atol=1e-5, rtol=1e-4
    )


def test_joints_are_told_apart_by_their_names_only():
    torch.manual_seed(0)
    model = disturbed(GraphTransformer((5, 3), True, width=8, depth=2, heads=2, head_width=4))
    x, order = torch.randn(4, 5, 3), torch.tensor([3, 0, 4, 1, 2])
    before = model(x)
    assert (model(x[:, order]) - before).abs().max() > 1e-3
    model.names.data = model.names.data[order]
    torch.testing.assert_close(model(x[:, order]), before)
    nameless = GraphTransformer((5, 3), False, width=8, depth=2, heads=2, head_width=4)
    torch.testing.assert_close(nameless(x[:, order]), nameless(x))


@pytest.mark.parametrize("spatial", ["graph_convolution", "graph_transformer", "mlp"])
def test_a_sequence_of_joints_is_embedded_alike_alone_and_beside_longer_ones(spatial):
    model, batch = disturbed(network(spatial)), sequences([2, 9, 17])
    together = model.self_features(batch)
    assert together.shape == (3, 17, 32)
    start = 0
    for row, length in zip(together, [2, 9, 17], strict=True):
        alone = Sequences((batch.frames[0][start : start + length],), torch.tensor([length]))
        torch.testing.assert_close(row[:length], model.self_features(alone)[0], atol=2e-5, rtol=1e-4)
        start += length


@pytest.mark.parametrize("spatial", ["graph_convolution", "graph_transformer"])
def test_padding_and_other_sequences_get_no_gradient(spatial):
    model, batch = network(spatial), sequences([4, 9])
    frames = batch.frames[0].clone().requires_grad_()
    u = model.branches["pose3d"].encoder(frames, batch.lengths, batch.keep)
    u[0, :4].square().sum().backward()
    assert (frames.grad[:4] != 0).any() and (frames.grad[4:] == 0).all()


@pytest.mark.parametrize("spatial", ["graph_convolution", "graph_transformer"])
@pytest.mark.parametrize("frames", [torch.zeros(5, 5, 3), torch.ones(5, 5, 3), 100 * torch.randn(5, 5, 3)])
def test_odd_frames_have_finite_features_and_gradients_in_training(spatial, frames):
    model, a = network(spatial).train(), Sequences((frames,), torch.tensor([3, 2]))
    z, other = model(a, a)
    (z.square().sum() + other.square().sum()).backward()
    assert torch.isfinite(z).all() and all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("spatial", ["graph_convolution", "graph_transformer"])
def test_a_few_steps_learn_to_tell_frames_apart(spatial):
    """Every frame of a sequence is to be nearest to its own copy with a little noise."""
    model, a = network(spatial, spatial_depth=1, graph_depth=1).train(), sequences([8])
    b = Sequences((a.frames[0] + 0.05 * torch.randn_like(a.frames[0]),), a.lengths)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(25):
        z, other = model(a, b)
        loss = torch.nn.functional.cross_entropy(-torch.cdist(z[0], other[0]), torch.arange(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_joints_in_blocks_give_the_same_features_and_gradients(monkeypatch):
    model, a = network("graph_transformer"), sequences([11, 7])
    results = []
    for tokens in (vivit.TOKENS, 8):
        monkeypatch.setattr(vivit, "TOKENS", tokens)
        monkeypatch.setattr(vivit, "TOKENS_PER_BLOCK", 5)
        model.zero_grad()
        u = model.self_features(a)
        u.square().sum().backward()
        results.append([u.detach(), *(p.grad.clone() for p in model.branches.parameters())])
    for whole, blocks in zip(*results, strict=True):
        torch.testing.assert_close(blocks, whole, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("spatial", ["graph_convolution", "graph_transformer"])
def test_they_are_saved_with_their_limbs_and_statistics(tmp_path, spatial):
    config = ModelConfig(**{**SMALL, "spatial": spatial, "spatial_depth": 2, "graph_depth": 2})
    model = new_network({"pose3d": BranchSpec(config, (25, 3), BODY.limbs)}, 20, 3)
    a = sequences([6, 4], (25, 3))
    fresh = model.eval().self_features(a)
    model.train()(a, a)  # moves running statistics
    trained = disturbed(model).eval().self_features(a)
    save_network(model, 3, tmp_path / "seed_3")
    torch.testing.assert_close(load_network(tmp_path / "seed_3").eval().self_features(a), trained)
    torch.testing.assert_close(load_network(tmp_path / "seed_3", trained=False).eval().self_features(a), fresh)


def test_stgcn_with_casas_layers_and_fused_with_pictures():
    """STGCN+CASA of the paper's tables, and what fuses with RGB."""
    torch.manual_seed(0)
    casa = {"temporal_transformer": False, "positions": "sine", "cross_layers": "self_cross"}
    graph = ModelConfig(**{**SMALL, **casa, "spatial": "graph_convolution"})
    specs = {
        "joints2d": BranchSpec(graph, (25, 2), BODY.limbs),
        "rgb": BranchSpec(ModelConfig(**{**SMALL, "patch_px": 16, "spatial_depth": 1}), (3, 32, 32)),
    }
    model = AlignmentNetwork(specs, 20)
    pictures = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    a = Sequences((torch.randn(9, 25, 2), pictures), torch.tensor([5, 4]))
    z, other = model(a, a)
    (z.square().sum() + other.square().sum()).backward()
    assert z.shape == (2, 5, 32) and all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_what_graphs_cannot_be_made_from_is_refused():
    with pytest.raises(InputError, match=r"coordinates of joints for spatial: graph_transformer, but got a grid"):
        network("graph_transformer", shape=(27, 30, 30))
    with pytest.raises(InputError, match=r"skeleton with limbs .*, but got none"):
        network("graph_convolution", limbs=())
