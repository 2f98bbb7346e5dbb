import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.augmentation import AugmentationConfig, Augmented
from pipeline.checkpoint import join_networks, load_network, new_network, save_network
from pipeline.config import InputError
from pipeline.embedding import embed
from pipeline.heatmap import render
from pipeline.modalities.flow import Flow, mirrored, optical_flow
from pipeline.modalities.pose2d import Pose2D
from pipeline.modalities.rgb import RGB, relight
from pipeline.models.network import BranchSpec, ModelConfig, Sequences
from pipeline.objectives.registry import known_objectives
from pipeline.skeleton import load_skeleton
from pipeline.training import FusionConfig, TrainConfig, Trainer, batches
from pipeline.training_set import Sampling, TrainingSet, TrainingVideo

SKELETON = load_skeleton("penn_13")
CPU = torch.device("cpu")
SMALL = {
    "width": 32,
    "heads": 2,
    "head_width": 16,
    "mlp_width": 64,
    "spatial_depth": 1,
    "temporal_depth": 1,
    "cross_depth": 1,
}
QUICK = {"epochs": 3, "passes_per_epoch": 2, "batch_size": 2, "learning_rate": 0.032, "device": "cpu", "model": SMALL}


def training_set(num_videos=5, frames=12, modalities=("pose2d",)):
    """People who raise both arms, each at an own pace; every pixel of a picture says which frame it shows."""
    videos, heatmaps, pictures = [], {}, {}
    sigma = np.full((num_videos, 2), 0.6, np.float32)
    for n in range(num_videos):
        rng = np.random.default_rng(n)
        length = frames + 2 * n
        uv = np.tile(rng.uniform(5, 25, (13, 2)), (length, 1, 1)).astype(np.float32)
        uv[:, 3:7, 1] = 25 - 20 * np.sin(np.pi * np.linspace(0, 1, length))[:, None] ** 2
        uv[:, 3:7, 0] += np.linspace(0, 5, length)[:, None]
        confidence = np.ones((length, 13), np.float32)
        heatmaps[n] = render(uv, confidence, SKELETON.limb_index, sigma[n], 30, "joints+limbs")
        pictures[n] = np.zeros((length, 32, 32, 3), np.uint8)
        pictures[n] += np.arange(length, dtype=np.uint8)[:, None, None, None] * 8
        pictures[n][:, :, 16:] += 1  # the right half
        videos.append(TrainingVideo(n, uv, confidence, np.ones(2, np.float32)))
    num_channels = heatmaps[0].shape[1]
    known = {
        "pose2d": Pose2D(heatmaps.__getitem__, sigma, SKELETON, "joints+limbs", (num_channels, 30, 30)),
        "rgb": RGB(pictures.__getitem__, (3, 32, 32)),
        "flow": Flow(lambda n: optical_flow(pictures[n]), pictures.__getitem__, (2, 32, 32)),
    }
    return TrainingSet(videos, SKELETON, 30, {name: known[name] for name in modalities})


def trainer_of(data, config, seed, path):
    """A trainer of the only modality, as stage one makes it."""
    (name,) = data.modalities
    spec = BranchSpec(config.of(name).model, data.modalities[name].shape)
    max_frames = int(data.lengths.max()) * (2 if config.model.position_drift > 1 else 1)
    return Trainer(data, new_network({name: spec}, max_frames, seed), config, config, seed, path)


def embed_all(network, data):
    numbers = range(len(data.videos))
    sources = data.modalities.values()
    return embed(network, data.lengths, lambda i: tuple(source.original(numbers[i]) for source in sources))


def weights(trainer):
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    runs = []
    for number, seed in enumerate((0, 0, 1)):
        trainer = trainer_of(training_set(), TrainConfig(**QUICK), seed, tmp_path / str(number))
        list(trainer.run())
        runs.append(weights(trainer))
    assert_equal(runs[0], runs[1])
    assert any(not torch.equal(runs[0][name], runs[2][name]) for name in runs[0])


@pytest.mark.parametrize("model", [{}, {"position_drift": 2.0}])
def test_a_run_that_was_cut_off_ends_in_the_same_weights(tmp_path, model):
    config = TrainConfig(**{**QUICK, "model": SMALL | model, "milestones": [2]})
    whole = trainer_of(training_set(), config, 0, tmp_path / "whole")
    list(whole.run())
    cut = trainer_of(training_set(), config, 0, tmp_path / "cut")
    next(cut.run())
    # As if killed while the next checkpoint was being written: its tensors lie there, nothing counts them.
    (tmp_path / "cut" / "epoch_0002.safetensors").write_bytes(b"half")
    resumed = trainer_of(training_set(), config, 0, tmp_path / "cut")
    assert len(resumed.history) == 1
    list(resumed.run())
    assert resumed.history == whole.history
    assert_equal(weights(resumed), weights(whole))


def test_training_lowers_the_loss(tmp_path):
    config = TrainConfig(
        **{**QUICK, "epochs": 8, "passes_per_epoch": 8, "objective": {"scale": "literal", "temperature": 1}}
    )
    trainer = trainer_of(training_set(), config, 0, tmp_path)
    losses = [epoch.loss for epoch in trainer.run()]
    assert losses[-1] < 0.3 * losses[0]


def test_every_video_passes_as_often_as_told_and_batches_have_like_lengths():
    lengths = np.random.default_rng(0).integers(10, 200, 50)
    drawn = list(batches(lengths, 6, 4, np.random.default_rng(1)))
    np.testing.assert_array_equal(np.bincount(np.concatenate(drawn)), 6)
    padded = sum(len(b) * lengths[b].max() for b in drawn) / sum(lengths[b].sum() for b in drawn) - 1
    assert padded < 0.15


def test_learning_rate_scales_with_the_batch_and_halves_at_milestones():
    config = TrainConfig()
    assert config.rate(0) == config.rate(29) == 3e-3
    assert config.rate(30) == 1.5e-3 and config.rate(100) == pytest.approx(3e-3 / 2**8)
    assert TrainConfig(batch_size=32).rate(0) == 1.5e-3


def test_a_diverging_run_is_told_in_one_line(tmp_path):
    trainer = trainer_of(training_set(), TrainConfig(**QUICK), 0, tmp_path)
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="finite loss, but got nan in epoch 1"):
        next(trainer.run())


def test_a_loss_that_is_no_number_is_told_in_one_line(tmp_path):
    trainer = trainer_of(training_set(), TrainConfig(**QUICK), 0, tmp_path)
    trainer.objective.forward = lambda a, b: a.z
    with pytest.raises(
        InputError, match=r"tensor of shape .* Take its mean in pipeline/objectives/regression_matching.py"
    ):
        next(trainer.run())


def test_a_saved_network_embeds_as_before_and_untrained_as_at_the_start(tmp_path):
    data = training_set()
    trainer = trainer_of(data, TrainConfig(**QUICK), 3, tmp_path / "checkpoints")
    before = embed_all(trainer.network, data)
    list(trainer.run())
    save_network(trainer.network, 3, tmp_path / "seed_3")
    for trained, expected in ((True, embed_all(trainer.network, data)), (False, before)):
        for a, b in zip(embed_all(load_network(tmp_path / "seed_3", trained), data), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert json.loads((tmp_path / "seed_3.json").read_text())["branches"]["pose2d"]["model"]["width"] == 32


@pytest.mark.parametrize("masks", [True, False])
def test_embedding_does_not_depend_on_what_else_is_embedded(tmp_path, masks):
    data = training_set()
    network = trainer_of(data, TrainConfig(**{**QUICK, "model": SMALL | {"masks": masks}}), 0, tmp_path).network
    source = data.modalities["pose2d"]
    for n, together in enumerate(embed_all(network, data)):
        alone = embed(network, data.lengths[[n]], lambda i, n=n: (source.original(n),))[0]
        np.testing.assert_allclose(alone, together, atol=1e-4)
        assert together.shape == (data.lengths[n], 32)


@pytest.mark.gpu
def test_cuda_trains_and_resumes(tmp_path):
    config = TrainConfig(**{**QUICK, "device": "cuda"})
    trainer = trainer_of(training_set(), config, 0, tmp_path)
    next(trainer.run())
    resumed = trainer_of(training_set(), config, 0, tmp_path)
    losses = [epoch.loss for epoch in resumed.run()]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert next(resumed.network.parameters()).is_cuda


@pytest.mark.gpu
def test_cuda_and_cpu_give_the_same_loss_before_training(tmp_path):
    data, losses = training_set(), []
    for device in ("cpu", "cuda"):
        trainer = trainer_of(data, TrainConfig(**{**QUICK, "device": device}), 0, tmp_path / device)
        batch = torch.from_numpy(data.modalities["pose2d"].original(0))
        pair = Sequences((batch.to(trainer.device),), torch.tensor([len(batch)]))
        losses.append(trainer.network(pair, pair)[0].float().cpu())
    torch.testing.assert_close(*losses, atol=1e-3, rtol=1e-2)


ALL = AugmentationConfig(
    flip_prob=0.5, flip_exchanges_sides=False, orientation_prob=0, position_prob=0, brightness=0, contrast=0
)


def test_all_modalities_show_the_same_frames_mirrored_or_not():
    """Pictures and skeletons here say by themselves which frame they show and whether they are mirrored."""
    data = training_set(modalities=("pose2d", "rgb", "flow"))
    batch, flips, dropped = [0, 1, 2, 3, 4], 0, 0
    for seed in range(10):
        views = data.sample(batch, Sampling(), ALL, np.random.default_rng(seed), torch.device("cpu"))
        original, augmented = (view.sequences for view in views)
        index = views[1].time.long()
        start = 0
        for n, length in enumerate(augmented.lengths.tolist()):
            own = slice(start, start + length)
            heatmaps, pictures, flow = (frames[own].numpy() for frames in augmented.frames)
            start += length
            of_frame = index[n, :length].numpy()
            dropped += data.lengths[n] - length
            np.testing.assert_array_equal(pictures[:, 0, 0, :].min(axis=1) // 8, of_frame)
            flipped = bool(pictures[0, 0, 0, 0] % 8)
            assert (pictures[:, :, :, :16] % 8 == flipped).all() and (pictures[:, :, :, 16:] % 8 != flipped).all()
            expected = data.modalities["pose2d"].original(n)[of_frame]
            mirrored_maps = data.modalities["pose2d"].original(n)[of_frame][..., ::-1]
            shown = mirrored_maps if flipped else expected
            np.testing.assert_allclose(heatmaps.astype(int), shown, atol=1)
            motion = data.modalities["flow"].original(n)[of_frame]
            np.testing.assert_array_equal(flow, mirrored(motion) if flipped else motion)
            flips += flipped
        assert len({len(frames) for frames in augmented.frames}) == 1
        for source, frames in zip(data.modalities.values(), original.frames, strict=True):
            np.testing.assert_array_equal(frames.numpy(), np.concatenate([source.original(n) for n in batch]))
    assert 10 < flips < 40 and dropped > 50


def test_other_modalities_do_not_change_what_the_pose_branch_sees():
    alone, beside = (training_set(modalities=names) for names in (("pose2d",), ("pose2d", "rgb")))
    draws = []
    for data in (alone, beside):
        rng = np.random.default_rng(5)  # of an epoch: it goes on from batch to batch
        batches = [data.sample([3, 1], Sampling(), AugmentationConfig(), rng, torch.device("cpu")) for _ in range(3)]
        draws.append(torch.cat([augmented.sequences.frames[0] for _, augmented in batches]))
    assert torch.equal(*draws)


def test_light_changes_level_and_contrast_about_the_mean_and_stays_within_range():
    frames = np.array([[[[0, 100, 255]]], [[[100, 100, 100]]]], np.uint8)
    mean = frames.mean()

    def lit(frame, shift, factor):
        return np.clip(np.rint((frame - mean) * factor + mean + shift), 0, 255)

    np.testing.assert_array_equal(relight(frames, np.array([20.0]), np.array([0.5])), lit(frames, 20, 0.5))
    each = relight(frames, np.array([20.0, -200.0]), np.array([0.5, 1.5]))
    np.testing.assert_array_equal(each[0], lit(frames[0], 20, 0.5))
    np.testing.assert_array_equal(each[1], lit(frames[1], -200, 1.5))
    np.testing.assert_array_equal(relight(frames, np.zeros(1), np.ones(1)), frames)


@pytest.mark.parametrize("per_frame", [False, True])
def test_light_is_drawn_for_a_sequence_or_for_each_frame(per_frame):
    frames = np.full((40, 4, 4, 3), 100, np.uint8)
    rgb, config = RGB(lambda n: frames, (3, 4, 4)), AugmentationConfig(light_per_frame=per_frame)
    drawn = Augmented(np.zeros((40, 13, 2), np.float32), np.ones((40, 13), np.float32), np.arange(40), False)
    augmented = rgb.pairs([0], [drawn], config, np.random.default_rng(0), torch.device("cpu"))[1].numpy()
    levels = augmented[:, 0, 0, 0].astype(int)
    assert (augmented == augmented[:, :1, :1, :1]).all() and np.abs(levels - 100).max() <= 32
    assert (len(np.unique(levels)) > 15) == per_frame and (per_frame or levels[0] != 100)


def test_flow_points_where_things_move_and_mirrors_with_them():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(texture, (0, 2 * t), (0, 1)) for t in range(4)])  # two pixels to the right a frame
    flow = optical_flow(frames)
    assert flow.shape == (4, 2, 112, 112)
    np.testing.assert_array_equal(flow[0], flow[1])  # or the first frame would be told by its stillness
    level = 128 + 127 * 2 / 11.2
    held = Flow(lambda n: flow, lambda n: frames, (2, 112, 112))
    np.testing.assert_array_equal(held.original(0), flow)
    np.testing.assert_array_equal(held.original(0, np.array([2, 2, 2])), np.full_like(flow[:3], 128))  # it stands still
    assert abs(np.median(flow[1:, 0]) - level) <= 1 and abs(np.median(flow[1:, 1]) - 128) <= 1
    of_mirrored = optical_flow(np.ascontiguousarray(frames[:, :, ::-1]))
    assert np.abs(mirrored(flow).astype(int) - of_mirrored).mean() < 2


def test_stage_two_starts_from_stage_ones_encoders_and_trains_all_of_it(tmp_path):
    config = TrainConfig(**{**QUICK, "epochs": 1}, modalities={"rgb": {"epochs": 2, "model": {"patch_px": 16}}})
    paths, singles = {}, {}
    for name in ("pose2d", "rgb"):
        data = training_set(modalities=(name,))
        trainer = trainer_of(data, config.of(name), 0, tmp_path / f"checkpoints_{name}")
        assert len(list(trainer.run())) == (2 if name == "rgb" else 1)
        paths[name], singles[name] = tmp_path / name, trainer.network
        save_network(trainer.network, 0, paths[name])
    data = training_set(modalities=("pose2d", "rgb"))
    joint = join_networks(paths, 0)
    for name, single in singles.items():
        assert_same_state(joint.branches[name], single.branches[name])
    schedule = FusionConfig(epochs=1, passes_per_epoch=1, batch_size=2, learning_rate=0.01)
    trainer = Trainer(data, joint, schedule, config, 0, tmp_path / "checkpoints")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    list(trainer.run())
    after = trainer.network.state_dict()
    moved = {
        name.split(".")[0] + "." + name.split(".")[1] for name in after if not torch.equal(after[name], before[name])
    }
    assert {"branches.pose2d", "branches.rgb", "fusion.linear", "head.layers"} <= moved
    save_network(trainer.network, 0, tmp_path / "fused")
    for a, b in zip(embed_all(load_network(tmp_path / "fused"), data), embed_all(trainer.network, data), strict=True):
        np.testing.assert_array_equal(a, b)


def test_encoders_of_other_lengths_are_joined(tmp_path):
    """With and without drifting positions their tables differ; each keeps its own."""
    paths = {}
    for name, drift, patch_px in (("pose2d", 2.0, 10), ("rgb", 1.0, 16)):
        data = training_set(modalities=(name,))
        config = ModelConfig(**SMALL, position_drift=drift, patch_px=patch_px, max_frames=round(20 * drift))
        paths[name] = tmp_path / name
        network = new_network({name: BranchSpec(config, data.modalities[name].shape)}, 20, 0)
        save_network(network, 0, paths[name])
    joint = join_networks(paths, 0)
    for name, path in paths.items():
        assert_same_state(joint.branches[name], load_network(path).branches[name])


def assert_same_state(a, b):
    assert_equal(dict(a.state_dict()), dict(b.state_dict()))


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"rgb": {"epoch": 1}}, r"modalities.rgb.epoch: there is no such setting"),
        ({"rgb": {"model": {"patch": 1}}}, r"modalities.rgb.model.patch: there is no such setting"),
        ({"rgb": {"seed": 1}}, r"modalities.rgb.seed: there is no such setting; there are \['batch_size',"),
        ({"rgb": {"seeds": [1]}}, r"modalities.rgb: \['seeds'\] cannot stand here"),
        ({"rgb": {"augmentation": {"brightness": 0}}}, r"modalities.rgb: \['augmentation'\] cannot stand here"),
        ({"sound": {}}, r"\['sound'\]"),
    ],
)
def test_a_wrong_setting_of_a_modality_is_named(changes, named):
    with pytest.raises(ValueError, match=named):
        TrainConfig(modalities=changes)


def test_a_modality_changes_what_it_says_and_keeps_the_rest():
    config = TrainConfig(
        epochs=7, model={"spatial_depth": 2}, modalities={"rgb": {"model": {"patch_px": 8}, "epochs": 3}}
    )
    assert (config.of("pose2d").epochs, config.of("pose2d").model.patch_px) == (7, 10)
    rgb = config.of("rgb")
    assert (rgb.epochs, rgb.model.patch_px, rgb.model.spatial_depth) == (3, 8, 2)


@pytest.mark.parametrize("frames", [None, 6])
def test_two_videos_are_different_ones_each_with_the_frames_it_shows(frames):
    data = training_set(modalities=("pose2d", "rgb"))
    for seed in range(5):
        a, b = data.sample([0, 1, 2, 3, 4], Sampling("two_videos", frames), ALL, np.random.default_rng(seed), CPU)
        for view in (a, b):
            assert all(len(of_modality) == int(view.lengths.sum()) for of_modality in view.sequences.frames)
            if frames:
                assert (view.lengths <= frames).all()
            assert (view.time.diff(dim=1) > 0).all()
            start = 0
            for length, time in zip(view.lengths.tolist(), view.time, strict=True):
                shown = view.sequences.frames[1][start : start + length, :, 0, 0].numpy().min(axis=1) // 8
                np.testing.assert_array_equal(shown, time[:length].numpy())  # the picture says which frame it is
                start += length
        assert (a.num_frames != b.num_frames).all()  # every video here has a length of its own
        np.testing.assert_array_equal(a.num_frames.numpy(), data.lengths)


@pytest.mark.parametrize("name", known_objectives())
def test_every_objective_trains_resumes_and_repeats(tmp_path, name):
    config = TrainConfig(**{**QUICK, "objective": {"name": name}})
    whole = trainer_of(training_set(), config, 0, tmp_path / "whole")
    losses = [epoch.loss for epoch in whole.run()]
    assert np.isfinite(losses).all()
    cut = trainer_of(training_set(), config, 0, tmp_path / "cut")
    next(cut.run())
    resumed = trainer_of(training_set(), config, 0, tmp_path / "cut")
    list(resumed.run())
    assert resumed.history == whole.history
    assert_equal(weights(resumed), weights(whole))
    assert_equal(resumed.objective.state_dict(), whole.objective.state_dict())


def test_weights_of_another_version_are_refused_in_one_line(tmp_path):
    spec = BranchSpec(ModelConfig(spatial_depth=1, temporal_depth=1, cross_depth=1), (3, 30, 30))
    save_network(new_network({"pose2d": spec}, 9, 0), 0, tmp_path / "seed_0")
    tensors = load_file(tmp_path / "seed_0.safetensors")
    save_file({f"old.{name}": value for name, value in tensors.items()}, tmp_path / "seed_0.safetensors")
    with pytest.raises(InputError, match=r"of another version .*Run train again"):
        load_network(tmp_path / "seed_0")
