"""The heat equation: its systems against SciPy, its counts against a textbook solver, its comparators."""

from __future__ import annotations

import numpy as np
import pytest
from bandits.environments._heat import HeatCosts, conjugate_gradients, diffusion, heat_costs, skewed
from scipy import sparse
from scipy.sparse.linalg import spsolve, spsolve_triangular

from bandits import Streams, environment
from bandits.errors import BadParameter


def laplacian(n: int):
    line = sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    eye = sparse.eye_array(n)
    return (sparse.kron(line, eye) + sparse.kron(eye, line)).tocsr()


def straight(field, n):
    i, j = np.indices((n, n))
    return field[i + j + 1, i + 1]


def textbook(matrix, rhs, x, omega, tolerance=1e-8, cap=10_000):
    """Preconditioned conjugate gradients with SSOR as two triangular solves, unknowns row by row; plain for omega 0."""
    diagonal = matrix.diagonal()
    lower = (sparse.diags_array(diagonal) + omega * sparse.tril(matrix, -1)).tocsr()
    upper = lower.T.tocsr()

    def solve(r):
        if omega == 0:
            return r
        z = spsolve_triangular(upper, diagonal * spsolve_triangular(lower, r, lower=True), lower=False)
        return omega * (2 - omega) * z

    r = rhs - matrix @ x
    first, z = np.linalg.norm(r), solve(r)
    p, fit = z, r @ z
    for count in range(1, cap + 1):
        q = matrix @ p
        x = x + fit / (p @ q) * p
        r = r - fit / (p @ q) * q
        if np.linalg.norm(r) < tolerance * first:
            return count, x
        z = solve(r)
        fit, before = r @ z, fit
        p = z + fit / before * p
    return cap + 1, x


@pytest.mark.parametrize("n", [1, 4, 9])
@pytest.mark.parametrize("omega", [0.0, 1.0, 1.6, 1.95])
@pytest.mark.parametrize("s", [0.0, 0.3, 40.0])
def test_counts_and_solutions_are_those_of_the_textbook(n, omega, s):
    rng = np.random.default_rng(n)
    matrix = (sparse.eye_array(n * n) + s * laplacian(n)).tocsr()
    for _ in range(5):
        rhs, start = rng.normal(size=(2, n, n))
        x = skewed(start)
        count = conjugate_gradients(skewed(rhs), x, s, omega, 1e-8, 10_000, np.empty((5, 2 * n + 1, n + 2)))
        assert count == textbook(matrix, rhs.ravel(), start.ravel(), omega)[0]
        exact = spsolve(matrix.tocsc(), rhs.ravel()).reshape(n, n)
        np.testing.assert_allclose(straight(x, n), exact, atol=1e-6)
        inside = skewed(np.ones((n, n))) > 0
        assert (x[~inside] == 0).all()


def test_a_time_step_is_the_trapezoidal_rule():
    """Against exact solves, step by step, written without skewing."""
    n, dt = 8, 0.004
    costs = HeatCosts(n, (1.0, 1.5), dt, 1e-10, 1000)
    at = np.arange(1, n + 1) / (n + 1)
    x, y = np.meshgrid(at, at, indexing="ij")

    def bump(cx, cy, radius):
        share = np.minimum(1.0, ((x - cx) ** 2 + (y - cy) ** 2) / radius**2)
        with np.errstate(divide="ignore"):
            return np.exp(1.0 - 1.0 / (1.0 - share)).ravel()

    def source(t):
        return 32 * bump(0.5 + 0.25 * np.cos(16 * np.pi * t), 0.5 + 0.25 * np.sin(16 * np.pi * t), 0.125)

    def kappa(t):
        return max(0.1 * np.sin(2 * np.pi * t), -10 * np.sin(2 * np.pi * t))

    operator, eye = laplacian(n) * (n + 1) ** 2, sparse.eye_array(n * n)
    u = bump(0.5, 0.5, 0.25)
    np.testing.assert_allclose(straight(costs._u, n).ravel(), u, atol=1e-15)
    for k in range(180):  # past t = 1/2, where the diffusion grows a hundredfold
        before, after = k * dt, (k + 1) * dt
        right = u - dt / 2 * kappa(before) * (operator @ u) + dt / 2 * (source(before) + source(after))
        u = spsolve((eye + dt / 2 * kappa(after) * operator).tocsc(), right)
        costs.ensure(k + 1)
        np.testing.assert_allclose(straight(costs._u, n).ravel(), u, atol=1e-7 * max(np.abs(u).max(), 1e-3))
        assert costs.context[k] == pytest.approx(max(kappa(after), 0.0), abs=1e-12)


def test_the_diffusion_is_a_hundred_times_faster_in_the_second_half_of_a_unit():
    assert diffusion(0.25) == pytest.approx(0.1)
    assert diffusion(0.75) == pytest.approx(10.0)
    assert diffusion(0.0) == 0.0


def test_costs_depend_on_the_round_alone():
    parameters = (6, (1.0, 1.5, 1.9), 0.01, 1e-8, 1000)
    whole, piece = HeatCosts(*parameters), HeatCosts(*parameters)
    whole.ensure(80)
    for steps in (3, 3, 40, 80):
        piece.ensure(steps)
    assert whole.costs == piece.costs
    assert whole.others == piece.others
    assert heat_costs(*parameters) is heat_costs(*parameters)


def test_regret_and_comparators():
    omegas = [0.0, 1.0, 1.5, 1.9]
    env = environment("heat_equation", points=12, omegas=omegas, dt=0.005).build(Streams(1, 2))
    plain = optimal = 0.0
    for t in range(1, 181):
        assert env.observe(t)[0] == pytest.approx(diffusion(t * 0.005))
        costs = env._table.costs[t - 1]
        feedback = env.step(t, np.array([t % 4, 2]))
        assert feedback.reward.tolist() == [-costs[t % 4], -costs[2]]
        assert feedback.regret.tolist() == [costs[t % 4] - min(costs), costs[2] - min(costs)]
        assert (env.best_action(t) == np.argmin(costs)).all()
        assert env._table.others[t - 1][0] == costs[0], "omega = 0 is plain conjugate gradients"
        plain += costs[0]
        optimal += env._table.others[t - 1][1]
    log = env.log(180)
    assert (log["plain_iterations"] == plain).all()
    assert (log["golden_iterations"] == optimal).all()
    assert (log["unsolved"] == 0).all()
    assert optimal < 0.5 * plain


def test_an_offset_starts_replications_at_different_rounds_of_one_trajectory():
    env = environment("heat_equation", points=4, omegas=[1.0, 1.5], dt=0.01, offset=50).build(Streams(3, 200))
    first = env._first
    assert set(first) == set(range(51))
    context = env.observe(7)[0]
    assert context == pytest.approx([diffusion((f + 7) * 0.01) for f in first])


def test_systems_that_meet_the_cap_are_recorded():
    env = environment("heat_equation", points=12, omegas=[0.0], dt=0.01, cap=5).build(Streams(0, 2))
    for t in range(1, 71):
        env.observe(t)
        feedback = env.step(t, np.zeros(2, dtype=np.int64))
        assert (feedback.reward >= -5).all()
    costs = np.array(env._table.costs[:70])
    assert (env.log(70)["unsolved"] == (costs > 5).sum()).all()
    assert 0 < (costs > 5).sum() < 70


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"omegas": [2.0]}, "omegas must be numbers in"),
        ({"omegas": []}, "omegas must be numbers in"),
        ({"points": 0}, "points must lie in"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"offset": -1}, "offset must lie in"),
        ({"tolerance": 0.0}, "tolerance must lie in"),
        ({"cap": 0}, "cap must lie in"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(BadParameter, match=message) as caught:
        environment("heat_equation", **parameters).build(Streams(0, 2))
    assert "\n" not in str(caught.value)
