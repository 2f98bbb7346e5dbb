"""Alignment by optimal transport (VAVA; Liu et al., "Learning to Align Sequential Actions in the Wild", CVPR 2022).

Mass moves from the frames of one video to those of the other. Two priors guide it: consistency, that matches lie near
the diagonal, and optimality, that they lie near the most similar frames, wherever those are; training goes from the
first to the second. One virtual frame a side takes what has no match. The plan is an order-preserving transport (Su and
Hua, CVPR 2017). Contrastive terms within each video and between the two keep the embeddings apart. The settings are
those of the released code.

Shapes: B pairs, N and M time of the longest sequence of each side, D width.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from pipeline.objectives.base import AlignmentObjective, ObjectiveSettings, View
from pipeline.objectives.parts.distances import prepared, squared_distances

BLOCKED = -1e30  # log of no mass; minus infinity would leave padded rows without a sum


class Settings(ObjectiveSettings):
    """iterations: of Sinkhorn's algorithm. order_weight: lambda_1, times N + M. prior_weight: lambda_2, times N M / 4.

    sigma_frames: deviation of both priors. decay: of the consistency prior's share phi, decay^floor(sqrt(step)).
    virtual_cost: zeta, squared distance to the virtual frame. virtual_frames: how far off the diagonal, in frames, its
    priors place it. margin: lambda_3, of the mean squared distance of frames more than window_frames apart.
    temperature: of the contrast between best and worst match. scale: see `transport_share`. transport_weight,
    intra_weight, inter_weight: of the terms of the loss.
    """

    name: Literal["vava"] = "vava"
    iterations: int = Field(20, ge=1)
    order_weight: float = Field(1.0, ge=0)
    prior_weight: float = Field(0.1, gt=0)
    sigma_frames: float = Field(2.0, gt=0)
    decay: float = Field(0.999, gt=0, le=1)
    virtual_cost: float = Field(0.5, ge=0)
    virtual_frames: float = Field(7.5, ge=0)
    margin: float = Field(2.0, gt=0)
    window_frames: float = Field(15, ge=0)
    temperature: float = Field(0.5, gt=0)
    scale: Literal["mean", "vava"] = "mean"
    transport_weight: float = Field(1.0, ge=0)
    intra_weight: float = Field(0.5, ge=0)
    inter_weight: float = Field(1e-4, ge=0)


class Objective(AlignmentObjective):
    """Mean over pairs of the cost of the transport plan and the weighted contrastive terms, symmetric in the two views.

    Counts its own training steps, on which phi depends.
    """

    pairs = "two_videos"

    def __init__(self, settings: Settings, width: int):
        super().__init__(settings, width)
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self, a: View, b: View) -> Float[Tensor, ""]:
        settings = self.settings
        self.step += self.training
        # Bounded as in VAVA's code; both priors always have a share.
        phi = (settings.decay ** self.step.sqrt().floor()).clamp(0.001, 0.999)
        a, b = (prepared(view, normalize=False) for view in (a, b))
        cost = squared_distances(a.z, b.z)
        mean_cost = cost / a.z.shape[-1]
        log_plan = transport_plan(a, b, cost, phi, settings)
        moved = (log_plan.exp() * with_virtual(cost, settings.virtual_cost)).sum(dim=(1, 2))
        loss = settings.transport_weight * moved * transport_share(a, b, settings)
        loss = loss + settings.intra_weight * (spread_loss(a, settings) + spread_loss(b, settings))
        return (loss + settings.inter_weight * match_loss(mean_cost, log_plan, a.keep, b.keep, settings)).mean()


def with_virtual(x: Float[Tensor, "B N M"], value: float | Float[Tensor, "B 1 1"]) -> Float[Tensor, "B N+1 M+1"]:
    """x behind a first row and a first column of `value`, which stand for the virtual frames."""
    padded = F.pad(x, (1, 0, 1, 0))
    virtual = F.pad(torch.zeros_like(x, dtype=torch.bool), (1, 0, 1, 0), value=True)
    return torch.where(virtual, value, padded)


def transport_share(a: View, b: View, settings: Settings) -> float | Float[Tensor, " B"]:
    """What the plan's cost, a sum over D numbers and a mean over the mass of 1, is multiplied by.

    `mean`: 1 / D, so that it is measured as the contrastive terms are. `vava`: 1 / ((N + 1) (M + 1) N M) as in the
    released code, some 1e-6 for 30 frames; not the default, as the contrast within videos is then all that counts.
    """
    if settings.scale == "mean":
        return 1 / a.z.shape[-1]
    num_a, num_b = a.keep.sum(dim=1), b.keep.sum(dim=1)
    return 1 / ((num_a + 1) * (num_b + 1) * num_a * num_b)


def positions(view: View) -> Float[Tensor, "B T"]:
    """i / N of the paper, i counted from 1 and N the frames of the whole video; 0 where there is padding."""
    return ((view.time.float() + 1) / view.num_frames[:, None]).masked_fill(~view.keep, 0)


def transport_plan(
    a: View, b: View, cost: Float[Tensor, "B N M"], phi: Float[Tensor, ""], settings: Settings
) -> Float[Tensor, "B N+1 M+1"]:
    """log T of the plan that minimises <T, cost> - lambda_1 I(T) + lambda_2 KL(T | P); first row and column: virtual.

    P = phi P_c + (1 - phi) P_o are Gaussians of the distance to the diagonal and to the most similar frames, in frames.
    I is the inverse difference moment about the same, as fractions of the videos.
    """
    num_a, num_b = (view.keep.sum(dim=1)[:, None, None].float() for view in (a, b))
    p_a, p_b = positions(a)[:, :, None], positions(b)[:, None]
    outside = cost.detach().masked_fill(~(a.keep[:, :, None] & b.keep[:, None]), torch.inf)
    # The code looks at b's most similar frames only; the paper's mean of both sides makes the loss symmetric.
    off_a = (p_a - torch.take_along_dim(p_a, outside.argmin(dim=1, keepdim=True), dim=1)).abs()
    off_b = (p_b - torch.take_along_dim(p_b, outside.argmin(dim=2, keepdim=True), dim=2)).abs()
    virtual = 2 * settings.virtual_frames / (num_a + num_b)
    diagonal = with_virtual((p_a - p_b).abs(), virtual)
    off_a, off_b = with_virtual(off_a, virtual), with_virtual(off_b, virtual)
    for distance in (diagonal, off_a, off_b):
        distance[:, 0, 0] = 0  # what is left over on both sides meets here
    deviation = settings.sigma_frames * (1 / num_a.square() + 1 / num_b.square()).sqrt()
    consistency = phi.log() - (diagonal / deviation).square() / 2
    optimality = (1 - phi).log() - ((off_a + off_b) / (2 * deviation)).square() / 2
    moment = phi / (diagonal.square() + 1) + (1 - phi) / ((off_a.square() + off_b.square()) / 2 + 1)
    reward = settings.order_weight * (num_a + num_b) * moment - with_virtual(cost, settings.virtual_cost)
    log_kernel = torch.logaddexp(consistency, optimality) + reward / (settings.prior_weight * num_a * num_b / 4)
    rows, cols = (F.pad(keep, (1, 0), value=True) for keep in (a.keep, b.keep))
    return sinkhorn(log_kernel, rows, cols, settings.iterations)


def sinkhorn(
    log_kernel: Float[Tensor, "B N M"], rows: Bool[Tensor, "B N"], cols: Bool[Tensor, "B M"], iterations: int
) -> Float[Tensor, "B N M"]:
    """log T, T = diag(u) exp(log_kernel) diag(v) with equal sums of its rows and, nearly, of its columns, 1 in all.

    rows and cols are False where there is padding; T is 0 there.
    """
    log_kernel = log_kernel.masked_fill(~(rows[:, :, None] & cols[:, None]), BLOCKED)
    log_row, log_col = (-keep.sum(dim=1, keepdim=True).log() for keep in (rows, cols))
    log_u = torch.zeros_like(log_kernel[:, :, 0])
    for _ in range(iterations):
        log_v = (log_col - (log_kernel + log_u[:, :, None]).logsumexp(dim=1)).masked_fill(~cols, 0)
        log_u = (log_row - (log_kernel + log_v[:, None]).logsumexp(dim=2)).masked_fill(~rows, 0)
    # No cell has more than the whole mass; of enormous costs the sum is rounded by more than exp can bear.
    return (log_kernel + log_u[:, :, None] + log_v[:, None]).clamp_max(0)


def spread_loss(view: View, settings: Settings) -> Float[Tensor, " B"]:
    """C(X): frames near in time are drawn together, the more the nearer, others pushed apart up to the margin.

    Mean over the pairs of frames of a video, of mean squared distances over D.
    """
    distance = squared_distances(view.z, view.z) / view.z.shape[-1]
    pair = view.keep[:, :, None] & view.keep[:, None]
    time = view.time.float()
    gap = (time[:, :, None] - time[:, None]).abs().masked_fill(~pair, 0)
    apart = F.relu(settings.margin - distance)
    loss = torch.where(gap > settings.window_frames, apart, distance / (gap.square() + 1)).masked_fill(~pair, 0)
    return loss.sum(dim=(1, 2)) / pair.sum(dim=(1, 2))


def match_loss(
    distance: Float[Tensor, "B N M"],
    log_plan: Float[Tensor, "B N+1 M+1"],
    keep_a: Bool[Tensor, "B N"],
    keep_b: Bool[Tensor, "B M"],
    settings: Settings,
) -> Float[Tensor, " B"]:
    """C(X, Y): -log softmax that the best matches of the plan are nearer than the worst, virtual frames aside.

    The code ranks by kernel * distance, in which a near frame counts as a bad match; here it is the plan that ranks.
    """
    plan, pair = log_plan.detach()[:, 1:, 1:], keep_a[:, :, None] & keep_b[:, None]
    best, worst = plan.masked_fill(~pair, -torch.inf), plan.masked_fill(~pair, torch.inf)
    difference = 0
    for dim, keep in ((2, keep_a), (1, keep_b)):
        near = torch.take_along_dim(distance, best.argmax(dim=dim, keepdim=True), dim=dim)
        far = torch.take_along_dim(distance, worst.argmin(dim=dim, keepdim=True), dim=dim)
        gap = (near - far).squeeze(dim).masked_fill(~keep, 0)
        difference = difference + gap.sum(dim=1) / keep.sum(dim=1)
    return F.softplus(difference / settings.temperature)
