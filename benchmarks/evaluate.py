"""How fast Kendall's tau over all pairs of videos is, on one thread: `python -m benchmarks.evaluate`.

Peer: the loop over ordered pairs with SciPy's cdist and kendalltau, as the published code bases write it. Both run in
this process, taking turns; each figure is the best repetition.
"""

import time

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from pipeline.metrics.clips import Clips
from pipeline.metrics.kendall import pair_taus

NUM_VIDEOS, NUM_FRAMES, WIDTH, STRIDE = 100, 100, 192, 2
REPETITIONS = 3


def smooth_clips(num_videos: int, num_frames: int, width: int, seed: int = 0) -> Clips:
    """Clips whose features follow one curve, each video with its own offset and noise: neighbours mostly in order."""
    rng = np.random.default_rng(seed)
    time_share = np.linspace(0, 1, num_frames)[:, None]
    curve = np.sin(2 * np.pi * (time_share * rng.uniform(0.2, 2, width) + rng.uniform(0, 1, width)))
    noise = rng.normal(0, 0.3, (num_videos, 1, width)) + rng.normal(0, 0.3, (num_videos, num_frames, width))
    features = (curve + noise).reshape(-1, width).astype(np.float32)
    return Clips(
        features=features,
        offsets=np.arange(num_videos + 1) * num_frames,
        phase=np.full(len(features), -1, dtype=np.int16),
        events=np.empty((num_videos, 0), dtype=np.int32),
        fps=np.full(num_videos, 30, dtype=np.float32),
        names=tuple(str(n) for n in range(num_videos)),
    )


def scipy_loop(clips: Clips, stride: int) -> np.ndarray:
    """(N, N) tau of every ordered pair, NaN where constant; 1 on the diagonal, which no mean uses."""
    parts = [clips.features[clips.frames(n)][::stride] for n in range(len(clips))]
    taus = np.ones((len(parts), len(parts)))
    for i, query in enumerate(parts):
        for j, other in enumerate(parts):
            if i != j:
                nearest = cdist(query, other, "sqeuclidean").argmin(axis=1)
                taus[i, j] = kendalltau(np.arange(len(query)), nearest).correlation
    return taus


def main() -> None:
    clips = smooth_clips(NUM_VIDEOS, NUM_FRAMES, WIDTH)
    pair_taus(clips, STRIDE)  # compiles
    ours, peer = [], []
    with threadpool_limits(1):
        for _ in range(REPETITIONS):
            began = time.perf_counter()
            taus, _ = pair_taus(clips, STRIDE)
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            reference = scipy_loop(clips, STRIDE)
            peer.append(time.perf_counter() - began)
    different = ~np.eye(len(clips), dtype=bool)
    error = np.abs(taus - np.nan_to_num(reference))[different].max()
    print(f"Kendall's tau, {NUM_VIDEOS} videos x {NUM_FRAMES} frames x {WIDTH}, stride {STRIDE}, one thread")
    print(f"  ours        {min(ours):8.3f} s   mean tau {taus[different].mean():.6f}")
    print(f"  SciPy loop  {min(peer):8.3f} s   mean tau {np.nan_to_num(reference)[different].mean():.6f}")
    print(f"  ratio {min(peer) / min(ours):.1f}, largest difference of a pair {error:.1e}")


if __name__ == "__main__":
    main()
