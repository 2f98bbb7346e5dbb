"""Frame embeddings of whole videos (method: each video paired with itself, features before the projection head)."""

from collections.abc import Callable

import numpy as np
import torch

from pipeline.models.network import AlignmentNetwork, Sequences

FRAMES_PER_BATCH = 2048


@torch.no_grad()
def embed(
    network: AlignmentNetwork, lengths: np.ndarray, fetch: Callable[[int], tuple[np.ndarray, ...]]
) -> list[np.ndarray]:
    """(T, D) float32 for each of N videos of `lengths` (N,) frames, on the network's device, in order.

    fetch: n -> (T, ...) frames of video n in each modality; called once a video, when it is embedded.
    """
    network.eval()
    device = next(network.parameters()).device
    order = sorted(range(len(lengths)), key=lambda n: lengths[n])
    result: list[np.ndarray] = [np.empty(0)] * len(lengths)
    while order:
        batch = [order.pop()]  # the longest that remains decides how many fit
        longest = lengths[batch[0]]
        while order and longest * (len(batch) + 1) <= FRAMES_PER_BATCH:
            if not network.masks and lengths[order[-1]] < longest:
                break  # padding would take part
            batch.append(order.pop())
        frames = zip(*(fetch(n) for n in batch), strict=True)
        frames = tuple(torch.from_numpy(np.concatenate(of_modality)).to(device) for of_modality in frames)
        features = network.self_features(Sequences(frames, torch.from_numpy(lengths[batch])))
        for n, padded in zip(batch, features.float().cpu().numpy(), strict=True):
            result[n] = padded[: lengths[n]].copy()
    return result
