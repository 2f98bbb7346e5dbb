"""Training CASA: pairs a CPU second, `OMP_NUM_THREADS=1 python -m benchmarks.casa`.

64 sequences of 22 joints in 3D, 40 to 99 frames; a step is everything from augmentation to the optimizer. The peer is the
same network and loss, pair after pair, gradients added up: what a batch with masks is worth. CASA's released code, with
batches padded to their longest and no masks, made 35 pairs a CPU second at these sizes on one thread.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from pipeline.checkpoint import new_network
from pipeline.clip import Clip
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.stores import Paths
from pipeline.models.network import BranchSpec, ModelConfig
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import skeleton_from_dict
from pipeline.training import TrainConfig, Trainer
from pipeline.training_set import load_training_set

NUM_JOINTS, PAIRS, STEPS = 22, 64, 4
CASA = ModelConfig(
    width=None,
    heads=None,
    head_width=None,
    spatial="flat",
    temporal_transformer=False,
    cross_layers="self_cross",
    positions="sine",
)


def write_stores(folder: Path) -> Paths:
    """`PAIRS` training videos and two that are not used."""
    paths = Paths(*(folder / name for name in ("poses", "heatmaps", "frames", "extracted")))
    joints = [f"j{n}" for n in range(NUM_JOINTS)]
    limbs = [[n, n + 1] for n in range(NUM_JOINTS - 1)]
    facts = {"name": "chain", "joints": joints, "limbs": limbs, "zaxis": [0, 5], "xaxis": [8, 12]}
    skeleton, rng = skeleton_from_dict(facts, "benchmark"), np.random.default_rng(0)
    clips = []
    for n in range(PAIRS + 2):
        frames = int(rng.integers(40, 100))
        walk = rng.normal(0, 1, (1, NUM_JOINTS, 3)) + rng.normal(0, 0.05, (frames, NUM_JOINTS, 3)).cumsum(axis=0)
        clips.append(Clip(str(n), "any", "train" if n < PAIRS else "val", walk, np.ones(walk.shape[:2]), fps=20.0))
    told = {"dataset": "noise", "event_names": {}, "poses": "motion_capture", "labels": "none"}
    extracted = from_clips(clips, skeleton=skeleton, **told)
    flat = project(extracted, ProjectConfig())
    write_sequences(extracted, paths.extracted)
    write_sequences(flat, paths.poses)
    write_heatmaps(flat, paths.poses, paths.heatmaps, RenderConfig(), "synchronous")
    return paths


def rate(paths: Paths, folder: Path, batch_size: int) -> float:
    """Pairs a second of CPU time, over the whole epoch."""
    config = TrainConfig(epochs=1, passes_per_epoch=STEPS, batch_size=batch_size, model=CASA, device="cpu")
    data = load_training_set(paths.open(["pose3d"]), "any", ["pose3d"])
    source = data.modalities["pose3d"]
    network = new_network({"pose3d": BranchSpec(CASA, source.shape, source.limbs)}, 99, 0)
    trainer = Trainer(data, network, config, config, 0, folder)
    began = time.process_time()
    list(trainer.run())
    return PAIRS * STEPS / (time.process_time() - began)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_stores(folder)
        rates = {size: max(rate(paths, folder / f"{size}_{n}", size) for n in range(3)) for size in (PAIRS, 1)}
    print(f"CASA, {NUM_JOINTS} joints, up to 99 frames, one thread, best of 3 epochs of {PAIRS * STEPS} pairs")
    print(f"  batches of {PAIRS}   {rates[PAIRS]:6.1f} pairs a CPU second")
    print(f"  pair by pair    {rates[1]:6.1f} pairs a CPU second   batches / this {rates[PAIRS] / rates[1]:.2f}")


if __name__ == "__main__":
    main()
