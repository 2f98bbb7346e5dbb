"""Peak memory of a training step on pictures: `python -m benchmarks.memory [PAIRS FRAMES]` (Linux).

The paper's encoders (depth 4 + 4) on 112 px crops, through `Trainer`, from a store on disk: first, at a size where both
fit, going through the frames in blocks that are computed again on the way back, against keeping everything; then ours
alone on PAIRS (64) pairs of FRAMES (100) frames, RGB and fused with 2D heatmaps. No frame is deleted from augmented
sequences, which is the worst case. Each case is a process of its own, and counts whole: the peak of its resident memory
(of what CUDA reserved, on a GPU), Python and torch included.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pipeline.augmentation import AugmentationConfig
from pipeline.checkpoint import new_network
from pipeline.clip import Clip
from pipeline.device import pick_device
from pipeline.frame_store import write_frames
from pipeline.frames import FramesConfig, frame_boxes
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.stores import Paths
from pipeline.models import vivit
from pipeline.models.network import BranchSpec, ModelConfig
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.training import TrainConfig, Trainer
from pipeline.training_set import load_training_set

MODELS = {"pose2d": ModelConfig(), "rgb": ModelConfig(patch_px=16)}
SMALL = (8, 50)


class Noise:
    """Pictures that no codec makes smaller."""

    stamp = ()

    def crops(self, n: int, frames: slice, box: np.ndarray, size_px: int) -> np.ndarray:
        shape = (frames.stop - frames.start, size_px, size_px, 3)
        return np.random.default_rng(n).integers(0, 256, shape, dtype=np.uint8)


def write_stores(folder: Path, pairs: int, frames: int) -> Paths:
    """`pairs` training videos and two that are not used."""
    skeleton, paths = load_skeleton("coco_17"), Paths(*(folder / name for name in ("poses", "heatmaps", "frames")))
    clips = []
    for n in range(pairs + 2):
        joints = np.random.default_rng(n).uniform(0, 100, (frames, skeleton.num_joints, 2))
        split = "train" if n < pairs else "val"
        clips.append(Clip(str(n), "any", split, joints, np.ones(joints.shape[:2]), fps=30.0))
    sequences = from_clips(clips, dataset="noise", skeleton=skeleton, event_names={}, poses="annotated", labels="none")
    write_sequences(sequences, paths.poses)
    write_heatmaps(sequences, paths.poses, paths.heatmaps, RenderConfig(), "synchronous")
    boxes = frame_boxes(sequences, 0.0, False, FramesConfig())
    write_frames(sequences, paths.poses, paths.frames, Noise(), boxes, FramesConfig(), "synchronous")
    return paths


def step(paths: Paths, modalities: list[str], pairs: int, in_blocks: str) -> str:
    """One epoch of one step; its peak in GiB and its seconds."""
    if in_blocks != "default":
        vivit.TOKENS, vivit.TOKENS_PER_BLOCK = (1 if in_blocks == "yes" else 10**9), vivit.TOKENS_PER_BLOCK // 4
    augmentation = AugmentationConfig(temporal_prob=0)
    config = TrainConfig(epochs=1, passes_per_epoch=1, batch_size=pairs, augmentation=augmentation)
    data = load_training_set(paths.open(modalities), "any", modalities)
    specs = {name: BranchSpec(MODELS[name], data.modalities[name].shape) for name in modalities}
    network = new_network(specs, int(data.lengths.max()), 0)
    with tempfile.TemporaryDirectory() as checkpoints:
        trainer = Trainer(data, network, config, config, 0, Path(checkpoints))
        began = time.perf_counter()
        list(trainer.run())
        seconds = time.perf_counter() - began
    if pick_device().type == "cuda":
        return f"{torch.cuda.max_memory_reserved() / 2**30} {seconds}"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20} {seconds}"


def measure(folder: Path, modalities: list[str], pairs: int, in_blocks: str = "default") -> tuple[float, float]:
    """GiB and seconds of `step` in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.memory",
        "step",
        str(folder),
        "+".join(modalities),
        str(pairs),
        in_blocks,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    gib, seconds = map(float, output.split()[-2:])
    return gib, seconds


def main() -> None:
    if sys.argv[1:2] == ["step"]:
        folder, modalities, pairs, in_blocks = sys.argv[2:]
        paths = Paths(*(Path(folder) / name for name in ("poses", "heatmaps", "frames")))
        return print(step(paths, modalities.split("+"), int(pairs), in_blocks))
    pairs, frames = map(int, sys.argv[1:3] or (64, 100))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stores(folder / "small", *SMALL)
        print(f"RGB, {SMALL[0]} pairs of {SMALL[1]} frames, one step on {pick_device()}")
        ours = measure(folder / "small", ["rgb"], SMALL[0], "yes")
        for label, (gib, seconds) in {
            "in blocks": ours,
            "all kept": measure(folder / "small", ["rgb"], SMALL[0], "no"),
        }.items():
            ratios = f"this / ours {gib / ours[0]:5.2f}, time {seconds / ours[1]:5.2f}"
            print(f"  {label:10s} {gib:6.2f} GiB, {seconds:6.1f} s   {ratios}")
        write_stores(folder / "large", pairs, frames)
        for modalities in (["rgb"], ["pose2d", "rgb"]):
            gib, seconds = measure(folder / "large", modalities, pairs)
            print(f"{'+'.join(modalities)}, {pairs} pairs of {frames} frames: {gib:.2f} GiB, {seconds:.0f} s")


if __name__ == "__main__":
    main()
