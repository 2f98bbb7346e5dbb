"""CASA + RGB (paper Table 8): coordinates and pictures of the same frames, from the stores to a jointly trained network."""

import numpy as np
import pytest
import torch

from pipeline.augmentation import AugmentationConfig
from pipeline.checkpoint import join_networks, new_network, save_network
from pipeline.clip import Clip
from pipeline.embedding import embed
from pipeline.frame_store import write_frames
from pipeline.frames import FramesConfig, frame_boxes
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.stores import Paths
from pipeline.models.config import BranchSpec, ModelConfig
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.training_set import Sampling, load_training_set

FRAMES = FramesConfig(size_px=32)
CASA = ModelConfig(
    spatial="flat",
    width=None,
    heads=None,
    head_width=None,
    cross_depth=1,
    temporal_transformer=False,
    positions="sine",
    cross_layers="self_cross",
)
RGB = ModelConfig(width=32, heads=2, head_width=16, mlp_width=64, patch_px=16, spatial_depth=1, temporal_depth=1)
STILL = AugmentationConfig(orientation_prob=0, position_prob=0, brightness=0, contrast=0, flip_prob=0.5)


class Numbered:
    """Pictures whose left half says which frame they show."""

    stamp = ()

    def crops(self, n, frames, box, size_px):
        pictures = np.zeros((frames.stop - frames.start, size_px, size_px, 3), np.uint8)
        pictures[:, :, : size_px // 2] = np.arange(len(pictures))[:, None, None, None] + 100
        return pictures


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> Paths:
    folder = tmp_path_factory.mktemp("stores")
    clips = [
        Clip(
            f"{n}",
            "wave",
            "val" if n > 3 else "train",
            rng.normal(0, 9, (9 + n, 25, 3)),
            np.ones((9 + n, 25)),
            fps=30.0,
        )
        for n, rng in enumerate(map(np.random.default_rng, range(6)))
    ]
    facts = {"dataset": "waves", "event_names": {}, "poses": "motion_capture", "labels": "none"}
    extracted = from_clips(clips, skeleton=load_skeleton("body_25"), **facts)
    flat = project(extracted, ProjectConfig())
    paths = Paths(*(folder / name for name in ("poses", "heatmaps", "frames", "extracted")))
    write_sequences(extracted, paths.extracted)
    write_sequences(flat, paths.poses)
    write_heatmaps(flat, paths.poses, paths.heatmaps, RenderConfig(), "synchronous")
    boxes = frame_boxes(flat, 0.0, False, FRAMES)
    write_frames(flat, paths.poses, paths.frames, Numbered(), boxes, FRAMES, "synchronous")
    return paths


@pytest.mark.parametrize("pose", ["pose3d", "joints2d"])
def test_coordinates_show_the_same_frames_as_the_pictures_and_are_flipped_with_them(paths, pose):
    data = load_training_set(paths.open((pose, "rgb")), "wave", (pose, "rgb"))
    views = data.sample([0, 1, 2, 3], Sampling(), STILL, np.random.default_rng(0), torch.device("cpu"))
    original, augmented = (view.sequences for view in views)
    source, flips, start = data.modalities[pose], [], 0
    assert original.frames[0].shape[1:] == source.shape and len(original.frames[0]) == len(original.frames[1])
    for n, length in enumerate(augmented.lengths.tolist()):
        joints, pictures = (frames[start : start + length].numpy() for frames in augmented.frames)
        flipped = bool((pictures[:, :, :, 0] == 0).all())
        shown = pictures[:, 0, 0, -1 if flipped else 0].astype(int) - 100
        expected = source.original(n)[shown]
        if flipped:  # left and right exchanged; the last coordinate, along the torso or down, keeps its sign
            expected = expected[:, load_skeleton("body_25").mirrored]
            np.testing.assert_allclose(joints[..., -1], expected[..., -1], atol=1e-4)
            assert np.abs(joints - expected).max() > 0.1
        else:
            np.testing.assert_allclose(joints, expected, atol=1e-4)
        flips.append(flipped)
        start += length
    assert True in flips and False in flips


@pytest.mark.parametrize("pose", ["pose3d", "joints2d"])
def test_encoders_of_stage_one_are_joined_trained_and_embed(paths, tmp_path, pose):
    data = load_training_set(paths.open((pose, "rgb")), "wave", (pose, "rgb"))
    encoders = {}
    for name, config in ((pose, CASA), ("rgb", RGB)):
        modality = data.modalities[name]
        network = new_network({name: BranchSpec(config, modality.shape, modality.limbs)}, 20, seed=1)
        encoders[name] = tmp_path / name / "seed_1"
        save_network(network, 1, encoders[name])
    joint = join_networks(encoders, 1)
    width = 25 * data.modalities[pose].shape[1]
    assert joint.width == width and list(joint.specs) == [pose, "rgb"]
    views = data.sample([0, 1], Sampling(), STILL, np.random.default_rng(0), torch.device("cpu"))
    original, augmented = (view.sequences for view in views)
    z, z_augmented = joint.train()(original, augmented)
    (z.square().sum() + z_augmented.square().sum()).backward()
    assert all(torch.isfinite(p.grad).all() and (p.grad != 0).any() for p in joint.branches.parameters())
    sources = data.modalities.values()
    features = embed(joint, data.lengths, lambda n: tuple(source.original(n) for source in sources))
    assert [f.shape for f in features] == [(length, width) for length in data.lengths]
