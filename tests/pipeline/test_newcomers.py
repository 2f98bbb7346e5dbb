"""Sequences embedded by themselves get the very features that they have as a part of the data set."""

import numpy as np
import pytest

from pipeline.checkpoint import new_network, save_network
from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.embedding import embed
from pipeline.frame_store import write_frames
from pipeline.frames import FramesConfig, frame_boxes
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths
from pipeline.models.network import BranchSpec, ModelConfig
from pipeline.newcomers import embed_sequences
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton

FRAMES = FramesConfig(size_px=32)
SMALL = {"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "spatial_depth": 1, "temporal_depth": 1}


class Noise:
    """Pictures of sequence n of `numbers`."""

    stamp = ()

    def __init__(self, numbers):
        self.numbers = numbers

    def crops(self, n, frames, box, size_px):
        rng = np.random.default_rng(self.numbers[n])
        return rng.integers(0, 256, (40, size_px, size_px, 3), dtype=np.uint8)[frames]


def sequences(numbers, skeleton="penn_13"):
    known = load_skeleton(skeleton)
    clips = []
    for n in numbers:
        joints = np.random.default_rng(n).uniform(0, 100, (20 + n, known.num_joints, 2))
        split = "val" if n else "train"
        clips.append(Clip(f"clip {n}", "wave", split, joints, np.ones(joints.shape[:2]), fps=30.0))
    return from_clips(
        clips, dataset="waves", skeleton=known, event_names={}, poses="annotated", labels="none", to_train=False
    )


@pytest.fixture(params=[("pose2d",), ("rgb",), ("pose2d", "rgb")], ids="+".join)
def trained(request, tmp_path):
    """A data set of three sequences, a network, and the features that it gives them."""
    whole = sequences(range(3))
    paths = Paths(*(tmp_path / name for name in ("poses", "heatmaps", "frames")))
    write_sequences(whole, paths.poses)
    write_heatmaps(whole, paths.poses, paths.heatmaps, RenderConfig(sigma_px=0.9, padding=0.1), "synchronous")
    boxes = frame_boxes(whole, 0.1, False, FRAMES)
    write_frames(whole, paths.poses, paths.frames, Noise(range(3)), boxes, FRAMES, "synchronous")
    modalities = load_modalities(request.param, paths.open(request.param))
    specs = {
        name: BranchSpec(ModelConfig(patch_px={"pose2d": 10, "rgb": 16}[name], **SMALL), source.shape)
        for name, source in modalities.items()
    }
    network = new_network(specs, 30, seed=0)
    save_network(network, 0, tmp_path / "seed_0")
    features = embed(network, whole.lengths, lambda n: tuple(source.original(n) for source in modalities.values()))
    return paths, tmp_path / "seed_0", features, request.param


def test_a_sequence_alone_is_embedded_as_within_its_data_set(trained):
    paths, network, features, _ = trained
    found = embed_sequences(sequences([2, 1]), network, paths, Noise([2, 1]))
    for mine, theirs in zip(found, (features[2], features[1]), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)  # batches of other sizes round otherwise


def test_what_a_network_cannot_see_is_told(trained):
    paths, network, _, modalities = trained
    if "rgb" in modalities:
        with pytest.raises(InputError, match="Expected pictures"):
            embed_sequences(sequences([1]), network, paths)
    with pytest.raises(InputError, match=r"Expected a skeleton with \d+ heatmap channels"):
        embed_sequences(sequences([1], "coco_17"), network, paths, Noise([1]))
