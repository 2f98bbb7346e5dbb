"""Peak memory of a training step on pictures: `python -m benchmarks.memory [PAIRS FRAMES]` (Linux).

The paper's encoders (depth 4 + 4) on 112 px crops. First, at a size where both fit, going through the frames in blocks
that are computed again on the way back, against keeping everything; then ours alone on PAIRS (64) pairs of FRAMES (100)
frames, RGB and fused with 2D heatmaps. Augmented sequences are as long as the originals, which is the worst case.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from pipeline.device import pick_device
from pipeline.models import vivit
from pipeline.models.network import AlignmentNetwork, BranchSpec, ModelConfig, Sequences
from pipeline.objectives.regression_matching import LossConfig, regression_matching_loss

SPECS = {
    "pose2d": BranchSpec(ModelConfig(), (36, 30, 30)),
    "rgb": BranchSpec(ModelConfig(patch_px=16), (3, 112, 112)),
}


def sequences(shapes: list[tuple[int, ...]], pairs: int, frames: int, device: torch.device) -> Sequences:
    rng = np.random.default_rng(0)
    arrays = (rng.integers(0, 256, (pairs * frames, *shape), dtype=np.uint8) for shape in shapes)
    return Sequences(tuple(torch.from_numpy(array).to(device) for array in arrays), torch.full((pairs,), frames))


def peak_gib(names: list[str], pairs: int, frames: int, device: torch.device) -> tuple[float, float]:
    """Of one step of Adam on a batch, with everything that it needs, beyond what the process had before; its seconds."""
    before = reset(device)
    network = AlignmentNetwork({name: SPECS[name] for name in names}, frames).to(device)
    optimizer = torch.optim.Adam(network.parameters())
    shapes = [SPECS[name].shape for name in names]
    a, b = (sequences(shapes, pairs, frames, device) for _ in range(2))
    index = torch.arange(frames, device=device).expand(pairs, -1)
    began = time.perf_counter()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        z, z_augmented = network(a, b)
    regression_matching_loss(z, z_augmented, index, a.keep, b.keep, LossConfig()).backward()
    optimizer.step()
    return peak(device) - before, time.perf_counter() - began


def reset(device: torch.device) -> float:
    """Start a new peak; returns what is in use, GiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**30
    Path("/proc/self/clear_refs").write_text("5")
    return peak(device)


def peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def main() -> None:
    device, (pairs, frames) = pick_device(), map(int, sys.argv[1:3] or (64, 100))
    small = (8, 50)
    blocks, (tokens, per_block) = {}, (vivit.TOKENS, vivit.TOKENS_PER_BLOCK)
    for name, limit in (("in blocks", 1), ("all kept", 10**9)):
        vivit.TOKENS, vivit.TOKENS_PER_BLOCK = limit, per_block // 4
        blocks[name] = peak_gib(["rgb"], *small, device)
    vivit.TOKENS, vivit.TOKENS_PER_BLOCK = tokens, per_block
    print(f"RGB, {small[0]} pairs of {small[1]} frames, one step on {device}")
    for name, (gib, seconds) in blocks.items():
        ours, quick = blocks["in blocks"]
        print(
            f"  {name:10s} {gib:6.2f} GiB, {seconds:6.1f} s   this / ours {gib / ours:5.2f}, time {seconds / quick:5.2f}"
        )
    for names in (["rgb"], ["pose2d", "rgb"]):
        gib, seconds = peak_gib(names, pairs, frames, device)
        print(f"{'+'.join(names)}, {pairs} pairs of {frames} frames: {gib:.2f} GiB, {seconds:.0f} s")


if __name__ == "__main__":
    main()
