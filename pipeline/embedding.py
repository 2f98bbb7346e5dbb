"""Frame embeddings of whole videos (method: each video paired with itself, features before the projection head)."""

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.models.network import AlignmentNetwork, Sequences

FRAMES_PER_BATCH = 2048


@torch.no_grad()
def embed(network: AlignmentNetwork, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(T, D) float32 for each video of (T, C, S, S) uint8 heatmaps, on the network's device, in the given order."""
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(videos)), key=lambda n: len(videos[n]))
    result: list[np.ndarray] = [np.empty(0)] * len(videos)
    while order:
        batch = [order.pop()]  # the longest that remains decides how many fit
        longest = len(videos[batch[0]])
        while order and longest * (len(batch) + 1) <= FRAMES_PER_BATCH:
            if not network.config.masks and len(videos[order[-1]]) < longest:
                break  # padding would take part
            batch.append(order.pop())
        frames = torch.from_numpy(np.concatenate([videos[n] for n in batch])).to(device)
        lengths = torch.tensor([len(videos[n]) for n in batch])
        features = network.self_features(Sequences(frames, lengths)).float().cpu().numpy()
        for n, padded in zip(batch, features, strict=True):
            result[n] = padded[: len(videos[n])].copy()
    return result
