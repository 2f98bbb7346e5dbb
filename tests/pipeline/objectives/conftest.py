"""Views of sequences, and training of free tensors, that the tests of all objectives share."""

import math

import pytest
import torch

from pipeline.objectives.base import View


@pytest.fixture
def random_view():
    """Every step-th frame of videos of random embeddings: z, and a part of each further width."""

    def make(lengths, longest=None, *, widths=(4,), seed=0, step=1, padding=math.nan, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        longest = longest or max(lengths)
        keep = torch.arange(longest) < torch.tensor(lengths)[:, None]
        z, *parts = (torch.full((len(lengths), longest, width), padding, dtype=dtype) for width in widths)
        time = torch.full((len(lengths), longest), padding, dtype=dtype)
        for b, length in enumerate(lengths):
            for cue in (z, *parts):
                cue[b, :length] = torch.randn(length, cue.shape[-1], generator=generator, dtype=dtype)
            time[b, :length] = step * torch.arange(length)
        return View(z, time, step * torch.tensor(lengths, dtype=dtype), keep, tuple(parts))

    return make


@pytest.fixture
def view_of():
    def make(z, time, num_frames, lengths):
        keep = torch.arange(z.shape[1]) < torch.tensor(lengths)[:, None]
        return View(z, torch.tensor(time, dtype=z.dtype), torch.tensor(num_frames, dtype=z.dtype), keep)

    return make


@pytest.fixture
def two_pairs(view_of):
    """6 frames against 5, and 3 against 2, not evenly spaced; also these numbers."""

    def make(dtype=torch.float32, scale=1.0):
        torch.manual_seed(0)
        z, other = torch.randn(2, 6, 4, dtype=dtype) * scale, torch.randn(2, 5, 4, dtype=dtype) * scale
        a = view_of(z, [[0, 2, 3, 7, 15, 21], [4, 5, 30, 0, 0, 0]], [22, 40], [6, 3])
        b = view_of(other, [[1, 2, 4, 12, 13], [0, 11, 0, 0, 0]], [14, 12], [5, 2])
        return a, b, ([6, 3], [5, 2])

    return make


@pytest.fixture
def losses_of_adam():
    """The losses of so many steps, each before its step."""

    def train(parameters, loss_of, *, lr, num_steps):
        optimizer = torch.optim.Adam(parameters, lr=lr)
        losses = []
        for _ in range(num_steps):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train
