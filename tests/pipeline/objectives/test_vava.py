import math

import pytest
import torch

from pipeline.objectives.vava import Objective, Settings, sinkhorn, transport_plan


def value(settings, a, b, step=0):
    objective = Objective(settings, a.z.shape[-1])
    objective.step.fill_(step)
    return objective(a, b)


def squared(x, y):
    return math.dist(x, y) ** 2


def slow_plan(x, y, p_x, p_y, phi, s):
    """T of one pair, by scaling rows and columns of the kernel; index 0 is virtual. Also the costs."""
    n, m = len(x), len(y)
    deviation = s.sigma_frames * math.sqrt(1 / n**2 + 1 / m**2)
    virtual = 2 * s.virtual_frames / (n + m)
    cost = [[s.virtual_cost] * (m + 1) for _ in range(n + 1)]
    kernel = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            if i == 0 and j == 0:
                diagonal = off_x = off_y = 0.0
            elif i == 0 or j == 0:
                diagonal = off_x = off_y = virtual
            else:
                cost[i][j] = squared(x[i - 1], y[j - 1])
                best_i = min(range(n), key=lambda k: squared(x[k], y[j - 1]))
                best_j = min(range(m), key=lambda k: squared(x[i - 1], y[k]))
                diagonal = abs(p_x[i - 1] - p_y[j - 1])
                off_x, off_y = abs(p_x[i - 1] - p_x[best_i]), abs(p_y[j - 1] - p_y[best_j])
            consistency = math.exp(-((diagonal / deviation) ** 2) / 2)
            optimality = math.exp(-(((off_x + off_y) / 2 / deviation) ** 2) / 2)
            prior = phi * consistency + (1 - phi) * optimality
            moment = phi / (diagonal**2 + 1) + (1 - phi) / ((off_x**2 + off_y**2) / 2 + 1)
            reward = s.order_weight * (n + m) * moment
            kernel[i][j] = prior * math.exp((reward - cost[i][j]) / (s.prior_weight * n * m / 4))
    u, v = [1.0] * (n + 1), [1.0] * (m + 1)
    for _ in range(s.iterations):
        v = [1 / (m + 1) / sum(kernel[i][j] * u[i] for i in range(n + 1)) for j in range(m + 1)]
        u = [1 / (n + 1) / sum(kernel[i][j] * v[j] for j in range(m + 1)) for i in range(n + 1)]
    return [[u[i] * kernel[i][j] * v[j] for j in range(m + 1)] for i in range(n + 1)], cost


def slow_spread(x, time, s):
    total = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            distance, gap = squared(x[i], x[j]) / len(x[i]), abs(time[i] - time[j])
            total += max(0.0, s.margin - distance) if gap > s.window_frames else distance / (gap**2 + 1)
    return total / len(x) ** 2


def slow_loss(a, b, phi, s):
    total = 0.0
    for k in range(len(a.z)):
        x, y = a.z[k][a.keep[k]].tolist(), b.z[k][b.keep[k]].tolist()
        t_x, t_y = a.time[k][a.keep[k]].tolist(), b.time[k][b.keep[k]].tolist()
        n, m, width = len(x), len(y), len(x[0])
        p_x = [(t + 1) / a.num_frames[k].item() for t in t_x]
        p_y = [(t + 1) / b.num_frames[k].item() for t in t_y]
        plan, cost = slow_plan(x, y, p_x, p_y, phi, s)
        moved = sum(plan[i][j] * cost[i][j] for i in range(n + 1) for j in range(m + 1))
        moved /= width if s.scale == "mean" else (n + 1) * (m + 1) * n * m
        best = worst = 0.0
        for i in range(n):
            row = [plan[i + 1][j + 1] for j in range(m)]
            best += squared(x[i], y[row.index(max(row))]) / width / n
            worst += squared(x[i], y[row.index(min(row))]) / width / n
        for j in range(m):
            column = [plan[i + 1][j + 1] for i in range(n)]
            best += squared(y[j], x[column.index(max(column))]) / width / m
            worst += squared(y[j], x[column.index(min(column))]) / width / m
        far, near = math.exp(worst / s.temperature), math.exp(best / s.temperature)
        inter = -math.log(far / (far + near))
        intra = slow_spread(x, t_x, s) + slow_spread(y, t_y, s)
        total += s.transport_weight * moved + s.intra_weight * intra + s.inter_weight * inter
    return total / len(a.z)


@pytest.mark.parametrize("scale", ["mean", "vava"])
@pytest.mark.parametrize("step, power", [(0, 1), (7, 2), (250_000, 500)])
def test_equals_the_formula(random_view, scale, step, power):
    settings = Settings(scale=scale, inter_weight=0.3, window_frames=3, prior_weight=0.3)
    a, b = random_view([8, 5], step=2), random_view([6, 9], seed=1)
    loss = value(settings, a, b, step)
    expected = slow_loss(a, b, 0.999**power, settings)
    assert loss.item() == pytest.approx(expected, rel=1e-4)  # float32 against float64, through exponentials


def test_the_share_of_consistency_falls_in_training_only(random_view):
    objective = Objective(Settings(), 4)
    one = random_view([6])
    objective(one, one)
    objective.eval()
    objective(one, one)
    assert objective.step == 1


def test_the_plan_moves_all_mass_and_none_of_it_from_padding(random_view):
    a, b = random_view([8, 5]), random_view([6, 9], seed=1)
    a, b = (one._replace(z=one.z.nan_to_num(100.0)) for one in (a, b))
    cost = torch.cdist(a.z, b.z).square()
    plan = transport_plan(a, b, cost, torch.tensor(0.5), Settings(iterations=100)).exp()
    for k, (n, m) in enumerate([(8, 6), (5, 9)]):
        rows, columns = torch.zeros(9), torch.zeros(10)
        rows[: n + 1], columns[: m + 1] = 1 / (n + 1), 1 / (m + 1)
        torch.testing.assert_close(plan[k].sum(dim=1), rows)
        torch.testing.assert_close(plan[k].sum(dim=0), columns, atol=1e-4, rtol=0)  # the rows were scaled last


def test_sinkhorn_of_a_kernel_beyond_the_range_of_exp():
    kernel = torch.full((1, 3, 3), -2000.0)
    kernel[0, torch.arange(3), torch.tensor([1, 2, 0])] = 3000.0
    keep = torch.ones(1, 3, dtype=torch.bool)
    expected = torch.zeros(1, 3, 3)
    expected[0, torch.arange(3), torch.tensor([1, 2, 0])] = 1 / 3
    torch.testing.assert_close(sinkhorn(kernel, keep, keep, 20).exp(), expected, atol=1e-4, rtol=0)


def test_a_frame_without_a_match_goes_to_the_virtual_frame(random_view):
    """Frames 0..9 of one side are those of the other, except for frame 4, which is like none."""
    z = 3 * torch.eye(10)[None]
    odd = z.clone()
    odd[0, 4] = 10
    a, b = (random_view([10])._replace(z=side) for side in (odd, z))
    settings = Settings(prior_weight=0.02, virtual_frames=2, iterations=200)
    plan = transport_plan(a, b, torch.cdist(a.z, b.z).square(), torch.tensor(0.5), settings).exp()[0]
    assert plan[5].argmax() == 0
    assert [plan[i + 1].argmax().item() for i in range(10) if i != 4] == [i + 1 for i in range(10) if i != 4]


def test_late_in_training_the_plan_follows_similarity_against_the_order(random_view):
    """Two halves of an action in the other order: first the plan keeps to the diagonal, then it does not."""
    z = 2 * torch.eye(20)[None]
    a, b = random_view([20])._replace(z=z), random_view([20])._replace(z=z.roll(10, 1))
    cost = torch.cdist(a.z, b.z).square()
    settings = Settings()
    on_diagonal, swapped = torch.arange(20), torch.arange(20).roll(10)
    for phi, expected in ((0.999, on_diagonal), (0.001, swapped)):
        plan = transport_plan(a, b, cost, torch.tensor(phi), settings)[0, 1:, 1:]
        assert (plan.argmax(dim=1) - expected).abs().max() <= 1


def test_both_views_count_alike(random_view):
    a, b = random_view([8, 5]), random_view([6, 9], seed=1)
    settings = Settings(iterations=300)  # until rows and columns both sum to what they should
    torch.testing.assert_close(value(settings, a, b), value(settings, b, a))


def test_identical_sequences_have_a_lower_loss_than_shuffled_ones(random_view):
    angle = torch.linspace(0, 3, 50)
    same = random_view([50])._replace(z=3 * torch.stack([angle.cos(), angle.sin()], dim=-1)[None])
    torch.manual_seed(0)
    shuffled = same._replace(z=same.z[:, torch.randperm(50)])
    assert value(Settings(), same, same) < 0.8 * value(Settings(), same, shuffled)


def test_training_free_embeddings_lowers_the_loss_and_aligns_them(random_view, losses_of_adam):
    a, b = random_view([40]), random_view([40], seed=1)
    z = [one.z.clone().requires_grad_() for one in (a, b)]
    objective = Objective(Settings(), 4)
    losses = losses_of_adam(z, lambda: objective(a._replace(z=z[0]), b._replace(z=z[1])), lr=0.05, num_steps=150)
    assert losses[-1] < 0.3 * losses[0]
    nearest = torch.cdist(z[0], z[1])[0].argmin(dim=1)
    assert (nearest - torch.arange(40)).abs().float().mean() < 3
