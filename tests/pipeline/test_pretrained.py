import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.config import InputError, MissingPackage
from pipeline.models.network import AlignmentNetwork, BranchSpec, ModelConfig, Sequences
from pipeline.models.pretrained import BackboneConfig, PretrainedImage, _import_timm
from pipeline.weights import sha256

VIT, CNN = "test_vit", "test_resnet"  # timm's own for tests: some hundred thousand weights


@pytest.fixture
def weights(tmp_path):
    """(name) -> settings of a backbone with weights of its own in a file."""

    def make(name):
        torch.manual_seed(1)
        model = _import_timm().create_model(name, pretrained=False)
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
        return model, BackboneConfig(name=name, weights=path, sha256=sha256(path))

    return make


@pytest.mark.parametrize("name", [VIT, CNN])
def test_weights_of_the_file_are_taken_and_pictures_normalised(weights, name):
    model, config = weights(name)
    size_px = model.pretrained_cfg["input_size"][-1]
    found = PretrainedImage(config, 3, size_px, 32).eval()
    x = torch.rand(4, 3, size_px, size_px)
    cfg = model.pretrained_cfg
    mean, std = (torch.tensor(cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    model.reset_classifier(0)
    with torch.no_grad():
        expected = found.project(model.eval()((x - mean) / std))
        torch.testing.assert_close(found(x), expected)


def test_a_vision_transformer_is_fitted_to_the_size_of_the_crops(weights):
    model, config = weights(VIT)
    found = PretrainedImage(config, 3, 112, 32)
    assert found(torch.rand(2, 3, 112, 112)).shape == (2, 32)
    assert found.backbone.pos_embed.shape != model.pos_embed.shape
    around = [p.detach().flatten(1).norm() for p in (found.backbone.pos_embed, model.pos_embed)]
    assert around[0] > 0.3 * around[1]  # resampled, not left at zero
    torch.testing.assert_close(found.backbone.blocks[0].attn.qkv.weight, model.blocks[0].attn.qkv.weight)


def test_without_loading_no_file_is_touched_and_the_seed_decides(weights):
    _, config = weights(CNN)
    config.weights.unlink()
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(PretrainedImage(config, 3, 32, 16, load=False).state_dict())
    for name, value in made[0].items():
        assert torch.equal(value, made[1][name]), name
    with pytest.raises(InputError, match="Expected a file of weights"):
        PretrainedImage(config, 3, 32, 16)


def test_statistics_of_batches_stay_and_freezing_leaves_the_rest_to_train(weights):
    found = PretrainedImage(weights(CNN)[1].model_copy(update={"freeze": True}), 3, 32, 16).train()
    before = {name: value.clone() for name, value in found.backbone.state_dict().items()}
    found(torch.rand(4, 3, 32, 32)).sum().backward()
    for name, value in found.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in found.backbone.parameters())
    assert found.project.weight.grad is not None


def test_it_is_the_spatial_part_of_a_branch(weights):
    config = ModelConfig(spatial="pretrained", backbone=weights(CNN)[1], temporal_depth=1, cross_depth=1)
    network = AlignmentNetwork({"rgb": BranchSpec(config, (3, 32, 32))}, 20)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 3, 32, 32), dtype=np.uint8))
    assert network.self_features(Sequences((frames,), torch.tensor([4, 5]))).shape == (2, 5, 192)


@pytest.mark.parametrize(
    "changes, channels, named",
    [
        ({"name": "no_such_net"}, 3, "Expected the name of a timm model, but got 'no_such_net'"),
        ({}, 2, "got 2 channels"),
        ({"name": CNN}, 3, "none that fit: .* weights are missing"),
        ({"sha256": "00"}, 3, "SHA-256 00"),
    ],
)
def test_what_cannot_work_is_one_line(weights, changes, channels, named):
    config = weights(VIT)[1].model_copy(update=changes)
    with pytest.raises(InputError, match=named) as caught:
        PretrainedImage(config, channels, 32, 16)
    assert "\n" not in str(caught.value)


def test_weights_need_their_hash_and_timm_its_package(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="need their sha256"):
        BackboneConfig(weights=tmp_path / "w.pth")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackage, match=r"pip install -e '\.\[timm\]'"):
        PretrainedImage(BackboneConfig(), 3, 32, 16, load=False)
