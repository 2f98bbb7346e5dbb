import numpy as np
import pytest
import torch
from torch import nn

from pipeline.models import patches
from pipeline.models.patches import embed_patches


def reference(frames, patch_px, layer):
    """Patch by patch, from left to right and from above down."""
    side = frames.shape[-1] // patch_px
    cut = [slice(patch_px * i, patch_px * (i + 1)) for i in range(side)]
    patches = [
        [frame[:, rows, columns].flatten() for rows in cut for columns in cut] for frame in frames.double() / 255
    ]
    return torch.stack([torch.stack(of_frame) for of_frame in patches]).float() @ layer.weight.T + layer.bias


def heatmaps(share: float) -> torch.Tensor:
    rng = np.random.default_rng(0)
    frames = rng.integers(1, 256, (5, 7, 12, 12)) * (rng.random((5, 7, 12, 12)) < share)
    frames[2] = 0  # a frame in which nothing is seen
    return torch.from_numpy(frames.astype(np.uint8))


@pytest.mark.parametrize("share, sparse", [(0.0, True), (0.03, True), (0.15, True), (0.15, False), (0.6, False)])
@pytest.mark.parametrize("patch_px", [4, 12])
def test_patches_and_their_gradients_equal_a_slow_reference(monkeypatch, share, sparse, patch_px):
    """Nobody there, heatmaps, wide heatmaps either way, pictures."""
    taken = []
    summed = patches._sum_of_seen
    monkeypatch.setattr(patches, "_sum_of_seen", lambda *given: taken.append(1) or summed(*given))
    if share == 0.15:
        monkeypatch.setattr(patches, "SPARSE_BELOW", float(sparse))
    torch.manual_seed(0)
    frames, layer = heatmaps(share), nn.Linear(7 * patch_px**2, 6)
    weighting = torch.randn(5, (12 // patch_px) ** 2, 6)
    results = []
    for embed in (embed_patches, reference):
        layer.zero_grad()
        tokens = embed(frames, patch_px, layer)
        (tokens * weighting).sum().backward()
        results.append((tokens.detach(), layer.weight.grad.clone(), layer.bias.grad.clone()))
    assert bool(taken) == sparse
    for ours, slow in zip(*results, strict=True):
        torch.testing.assert_close(ours, slow, atol=1e-5, rtol=1e-5)


def test_no_frames_have_no_tokens():
    assert embed_patches(torch.zeros(0, 7, 12, 12, dtype=torch.uint8), 4, nn.Linear(112, 6)).shape == (0, 9, 6)
