"""Closed forms of retraining on linear tasks, checked by hand, by Monte Carlo and on the population landscape."""

from __future__ import annotations

import math

import pytest
import torch
from bandits.experiments.peft.linear_landscape import minimise, population_loss
from bandits.experiments.peft.linear_lora_ml import least_squares, standard_retraining
from bandits.experiments.peft.linear_tasks import LinearTasks, draw_tasks, observe, population
from bandits.experiments.peft.linear_theory import (
    adapter_excess_error,
    best_adapter_error,
    least_squares_excess_error,
    standard_residual,
    triples_independent,
    two_task_orbit,
)

from bandits.neural.noise import Noise


def noise(stream: int, samples=range(3), seed=0) -> Noise:
    return Noise(seed, samples, dtype=torch.float64, salt=(stream,))


@pytest.mark.parametrize(("tasks", "floor", "rank"), [(2, 1 / 2, 3), (3, 1 / 3, 4), (5, 1 / 5, 6)])
def test_standard_retraining_cannot_do_better_than_one_over_t_on_orthonormal_tasks(tasks, floor, rank):
    truth = draw_tasks(noise(1), k=1, tasks=tasks, orthonormal=True)
    residual = standard_residual(truth)
    assert torch.allclose(best_adapter_error(residual, 1), torch.full((3,), floor).double(), atol=1e-9)
    assert (torch.linalg.matrix_rank(residual, rtol=1e-9) == rank).all()
    values = torch.linalg.svdvals(residual)[0, : tasks + 1]
    assert torch.allclose(values, torch.tensor([1.0] + tasks * [1 / tasks]).double(), atol=1e-9)


@pytest.mark.parametrize(("k", "tasks", "rank"), [(1, 3, 4), (2, 3, 8), (3, 3, 10)])
def test_the_base_of_standard_retraining_leaves_a_residual_of_rank_k_times_tasks_plus_one(k, tasks, rank):
    truth = draw_tasks(noise(1), d=10, k=k, tasks=tasks)
    base = standard_retraining(population(truth.targets[:, :-1]))
    residual = truth.targets[:, -1] - base
    assert torch.allclose(residual, standard_residual(truth), atol=1e-9)
    assert (torch.linalg.matrix_rank(residual, rtol=1e-9) == rank).all()


def test_the_orbit_of_two_tasks_is_the_one_worked_by_hand():
    """U_1* = e1, U_2* = e2 in three dimensions, a new task along e3, angle 1."""
    eye = torch.eye(3, dtype=torch.float64)
    truth = LinearTasks(torch.zeros(1, 3, 3, dtype=torch.float64), eye[None, :, :, None])
    A, U = two_task_orbit(truth, 1.0)
    cosh, sinh = math.cosh(1), math.sinh(1)
    assert torch.allclose(U[0, :, :, 0], torch.tensor([[cosh, sinh, 0], [sinh, cosh, 0]]).double())
    R = U @ U.mT
    assert torch.allclose(R[0, 0] - R[0, 1], torch.diag(torch.tensor([1.0, -1, 0])).double(), atol=1e-9)
    low, high = (math.e**2 - 1) / 2, (1 - math.e**-2) / 2
    assert (low, high) == (pytest.approx(3.194528, abs=5e-7), pytest.approx(0.432332, abs=5e-7))
    assert torch.linalg.eigvalsh(A[0]).tolist() == pytest.approx([-low, 0, high], abs=1e-9)
    assert torch.linalg.eigvalsh(truth.targets[0, 2] - A[0]).tolist() == pytest.approx([-high, 1, low], abs=1e-9)


@pytest.mark.parametrize("k", [1, 2])
def test_two_tasks_leave_an_orbit_on_which_a_new_task_needs_rank_3k(k):
    truth = draw_tasks(noise(1), d=10, k=k, tasks=2)
    A, U = two_task_orbit(truth, 0.7)
    assert torch.allclose(A[:, None] + U @ U.mT, truth.targets[:, :-1], atol=1e-9)
    assert (torch.linalg.matrix_rank(A - truth.A, rtol=1e-9) == 2 * k).all()
    new = truth.targets[:, -1] - A
    assert (best_adapter_error(new, 3 * k) < 1e-18).all()
    assert (best_adapter_error(new, 3 * k - 1) > 1e-3).all()


@pytest.mark.parametrize(("d", "k", "tasks"), [(10, 1, 3), (10, 1, 5), (10, 2, 3), (20, 2, 3)])
def test_at_zero_loss_on_three_or_more_tasks_the_base_is_the_truth(d, k, tasks):
    truth = draw_tasks(noise(1), d=d, k=k, tasks=tasks)
    assert triples_independent(truth.U[:, :-1]).all()
    start = 0.1 * noise(2).normal(tasks, d, k)
    for b in range(3):
        end = minimise(truth.targets[b, :-1], start[b])
        assert end.loss < 1e-10
        assert (end.A - truth.A[b]).norm() < 1e-4
        assert (end.U @ end.U.mT - (truth.U @ truth.U.mT)[b, :-1]).norm() < 1e-3


def test_at_zero_loss_on_two_tasks_the_base_is_off_by_rank_two():
    truth = draw_tasks(noise(1), d=10, k=1, tasks=2)
    start = 0.1 * noise(2).normal(2, 10, 1)
    for b in range(3):
        end = minimise(truth.targets[b, :-1], start[b])
        error = end.A - truth.A[b]
        assert end.loss < 1e-10
        assert error.norm() > 1e-3  # how far depends on the draw: 0.007 to 0.6 were seen
        assert torch.linalg.matrix_rank(error, rtol=1e-6) == 2


def test_tasks_in_too_few_dimensions_are_not_independent():
    assert not triples_independent(draw_tasks(noise(1), d=5, k=2).U).any()
    assert not triples_independent(draw_tasks(noise(1), d=9, k=1, tasks=1).U).any()


def test_gradient_of_the_landscape_is_that_of_its_loss():
    truth = draw_tasks(noise(1), d=4, k=2)
    A, U = noise(2).normal(4, 4)[0].requires_grad_(), noise(3).normal(3, 4, 2)[0].requires_grad_()
    targets = truth.targets[0, :-1]
    population_loss(A, U, targets).backward()
    E = (A + U @ U.mT - targets).detach()
    assert torch.allclose(A.grad, E.sum(0))
    assert torch.allclose(U.grad, (E + E.mT) @ U.detach())


def spurious(samples, *, tasks):
    """Minima of positive loss that L-BFGS finds from the usual start in three dimensions."""
    truth = draw_tasks(noise(1, samples, seed=7), d=3, k=1, tasks=tasks)
    starts = 0.1 * noise(2, samples, seed=7).normal(tasks, 3, 1)
    ends = [minimise(truth.targets[b, :-1], starts[b], max_steps=3000) for b in range(len(samples))]
    return [(end, truth.targets[b, :-1]) for b, end in enumerate(ends) if end.loss > 1e-7 and end.gradient < 1e-6]


def test_three_tasks_in_three_dimensions_can_have_a_spurious_minimum():
    """Four of the first 300 draws; a positive definite Hessian says that it is a minimum, not a saddle."""
    found = spurious([38, 44, 244], tasks=3)
    assert [end.loss for end, _ in found] == pytest.approx([2.01e-2, 1.12e-4, 6.79e-4], rel=0.01)
    assert all(end.curvature(targets)[0] > 0.03 for end, targets in found)


def test_two_tasks_in_three_dimensions_had_none_in_twenty_starts():
    assert spurious(range(20), tasks=2) == []


def test_least_squares_costs_what_the_formula_says():
    seeds = range(400)
    truth = draw_tasks(noise(1, seeds), d=10)
    target = truth.targets[:, -1]
    fitted = least_squares(observe(noise(2, seeds), target, samples=100))
    error = (fitted - target).square().sum((1, 2))
    expected = least_squares_excess_error(d=10, samples=100, noise_std=0.1)
    assert expected == pytest.approx(0.01124, abs=1e-5)
    assert error.mean().item() == pytest.approx(expected, abs=4 * error.std().item() / 20)


def descend_symmetric(R, data, k, steps=1500):
    """Least squares over U U^T, from the leading eigenvectors of a first guess R."""
    values, vectors = torch.linalg.eigh((R + R.mT) / 2)
    U = vectors[..., -k:] * values[..., None, -k:].clamp(min=1e-3).sqrt()
    lr = 0.2 / values[:, -1:, None]
    for _ in range(steps):
        E = U @ U.mT @ data.S - data.C
        U = U - lr * (E + E.mT) @ U
    assert ((E + E.mT) @ U).abs().max() < 1e-8
    return U @ U.mT


def reduced_rank(data, k):
    """Least squares over U V^T: project the unrestricted fit in the metric of the inputs."""
    values, vectors = torch.linalg.eigh(data.S)
    root = vectors @ torch.diag_embed(values.sqrt()) @ vectors.mT
    left, s, right = torch.linalg.svd(least_squares(data) @ root)
    return left[..., :k] * s[..., None, :k] @ right[..., :k, :] @ torch.linalg.inv(root)


def test_an_adapter_around_a_known_base_costs_its_free_parameters():
    """d = 10, k = 2, n = 200: 0.00180 for U V^T and 0.00095 for U U^T, to first order in 1/n."""
    seeds = range(100)
    truth = draw_tasks(noise(1, seeds), d=10, k=2)
    R = truth.U[:, -1] @ truth.U[:, -1].mT
    data = observe(noise(2, seeds), R, samples=200)
    settings = {"d": 10, "k": 2, "samples": 200, "noise_std": 0.1}
    free = reduced_rank(data, 2)
    tied = descend_symmetric(free, data, 2)
    for fitted, symmetric, formula in [(free, False, 0.00180), (tied, True, 0.00095)]:
        expected = adapter_excess_error(**settings, symmetric=symmetric)
        error = (fitted - R).square().sum((1, 2))
        assert expected == pytest.approx(formula, abs=5e-6)
        spread = 4 * error.std().item() / len(seeds) ** 0.5
        # terms of relative order d / n are left out: 1 / (1 - 11 / 200) is what they are for least squares
        assert expected - spread < error.mean().item() < expected / (1 - 11 / 200) + spread


def test_formulas_refuse_where_they_do_not_hold():
    with pytest.raises(ValueError, match="samples must be above d \\+ 1 = 11"):
        least_squares_excess_error(d=10, samples=11, noise_std=0.1)
    with pytest.raises(ValueError, match="tasks must be 2"):
        two_task_orbit(draw_tasks(noise(1)), 1.0)
