"""Projections and penalties: the specification's numbers, CLARABEL, and what must hold of any nearest point."""

from __future__ import annotations

import time

import cvxpy as cp
import pytest
import torch
from scipy.optimize import linprog

from bandits.neural import constraints as sets
from bandits.neural import convex, dual_active_set
from bandits.neural.closed_forms import nearest_bar
from bandits.neural.convex import Program
from bandits.neural.errors import ConstraintError, InfeasibleError, ProjectionError, ShapeError
from bandits.neural.projection import Constraints

BARS = (6, 4)  # moments, channels


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(got: torch.Tensor, expected: object, atol: float = 1e-6) -> None:
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=torch.float64), atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (1, [0.98, 1.98, -1.02, 0.38]),
        (100, [0.903846, 1.903846, -1.096154, 0.303846]),
        (float("inf"), [0.9, 1.9, -1.1, 0.3]),
    ],
)
def test_a_quadratic_penalty_on_the_mean_gives_the_numbers_of_the_specification(gamma, expected):
    constraints = Constraints((4, 1), [sets.mean((4, 1), 0.5)])
    x = torch.tensor([1.0, 2, -1, 0.4]).reshape(1, 4, 1)
    close(constraints.penalised(x, gamma, "sq_residual").flatten(), expected)


@pytest.mark.parametrize(("gamma", "expected"), [(0.5, [0.75, 0.25, 0, 0]), (10, [0.25, 0.75, 0, 0])])
def test_a_hinge_gives_the_numbers_of_the_specification_by_formula_and_by_solver(gamma, expected):
    constraints = Constraints((4,), [sets.half_spaces((4,), [[1.0, -1, 0, 0]], [-0.5])])
    x = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    close(constraints.penalised(x, gamma, "hinge")[0], expected, 1e-12)
    close(Program(constraints).solve(x, gamma, "hinge")[0], expected)


def test_a_bar_of_prices_moves_to_the_numbers_of_the_specification():
    got = nearest_bar(torch.tensor([10, 9.5, 9.8, 10.4], dtype=torch.float64))
    close(got, [9.966667, 9.966667, 9.8, 9.966667])


def families() -> dict[str, Constraints]:
    """One set for each way in which a projection is found, named by it; numbers differ between the 5 samples."""
    n = 24
    times = torch.tensor([0, 5, 2, 3, 3])
    value = random(5, seed=1)
    rows = random(4, n, seed=2)
    return {
        "ball": Constraints(BARS, [sets.ball(random(5, *BARS, seed=3), 0.7, BARS)]),
        "box": Constraints(BARS, [sets.box(BARS, -0.5, torch.rand(5, *BARS, dtype=torch.float64))]),
        "bars": Constraints(BARS, [sets.ohlc(BARS, (1, 3, 0, 2))]),
        "plane": Constraints(BARS, [sets.equality(BARS, rows, random(5, 4, seed=4))]),
        "redundant plane": Constraints(BARS, [sets.mean(BARS, value), sets.mean(BARS, value)]),
        "orthogonal": Constraints(BARS, [sets.ordered(BARS, 0, 1), sets.mean(BARS, value, 2)]),
        "half-spaces": Constraints(BARS, [sets.half_spaces(BARS, random(40, n, seed=5), random(40, seed=6).abs())]),
        "own rows": Constraints(
            BARS,
            [
                sets.ohlc(BARS),
                sets.argmax_at(BARS, times, 1),
                sets.argmin_at(BARS, 4, 2),
                sets.mean(BARS, value, 3),
                sets.mean_change(BARS, value / 9, 3),
                sets.value_at(BARS, times, 1.5, 1),
            ],
        ),
        "box and rows": Constraints(BARS, [sets.box(BARS, -1, 1), sets.mean(BARS, value.tanh(), 0)]),
        "ball and rows": Constraints(BARS, [sets.ball(torch.zeros(BARS), 3.0, BARS), sets.mean(BARS, value / 9, 0)]),
        "cvxpy": Constraints(BARS, [sets.convex(lambda x: [cp.norm(cp.diff(x[:, 0])) <= 1, x[2, 1] >= 2])]),
    }


@pytest.mark.parametrize("name", families())
def test_a_projection_is_feasible_and_nearest(name):
    """Nearest: no feasible point y has (x - w) . (y - w) > 0; y are projections of other points."""
    constraints, x = families()[name], 2 * random(5, *BARS, seed=7)
    nearest = constraints.project(x)
    own = constraints.program is None or len(constraints.balls) == len(constraints.members)
    assert constraints.largest_violation(x).min() > 0.01, "vacuous: nothing to project"
    assert constraints.largest_violation(nearest).max() < (1e-12 if own else 1e-6)
    for seed in range(20):
        other = constraints.project(nearest + 0.5 * random(5, *BARS, seed=100 + seed))
        assert ((x - nearest) * (other - nearest)).sum((1, 2)).max() < (1e-10 if own else 1e-6)


@pytest.mark.parametrize("name", families())
def test_a_projection_is_what_the_solver_finds(name):
    constraints, x = families()[name], 2 * random(5, *BARS, seed=7)
    torch.testing.assert_close(
        constraints.project(x).flatten(1), Program(constraints).solve(x.flatten(1)), atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("penalty", ["hinge", "sq_residual"])
@pytest.mark.parametrize("name", families())
def test_a_penalised_point_is_what_the_solver_finds(name, penalty):
    constraints, x = families()[name], 2 * random(5, *BARS, seed=8)
    for gamma in (0.3, 5.0):
        got = constraints.penalised(x, gamma, penalty).flatten(1)
        torch.testing.assert_close(got, Program(constraints).solve(x.flatten(1), gamma, penalty), atol=2e-5, rtol=0)


@pytest.mark.parametrize("penalty", ["hinge", "sq_residual", "sq_dist"])
@pytest.mark.parametrize("name", ["ball", "bars", "plane", "own rows"])
def test_a_penalty_goes_from_nothing_to_the_projection(name, penalty):
    constraints, x = families()[name], 2 * random(5, *BARS, seed=8)
    torch.testing.assert_close(constraints.penalised(x, 0, penalty), x)
    torch.testing.assert_close(constraints.penalised(x, 9e5, penalty), constraints.project(x), atol=1e-3, rtol=0)


def test_the_distance_to_the_set_is_the_least_sum_of_its_own_penalised_problem():
    """With P = dist^2 the minimiser lies between x and its projection: compared with a search along random ways."""
    constraints, x, gamma = families()["own rows"], random(5, *BARS, seed=8), 0.7

    def objective(w):
        return ((w - x) ** 2).sum((1, 2)) / 2 + gamma / 2 * ((w - constraints.project(w)) ** 2).sum((1, 2))

    best = constraints.penalised(x, gamma)
    for seed in range(30):
        for size in (1.0, 0.01):
            assert (objective(best + size * random(5, *BARS, seed=seed)) > objective(best)).all()


@pytest.mark.parametrize("seed", range(6))
def test_degenerate_polyhedra_are_solved(seed):
    """Rows of few whole numbers: many are parallel, dependent or meet in one vertex, often the very point sought."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(-1, 2, (60, 8), generator=generator, dtype=torch.float64)
    rows = rows[rows.abs().sum(1) > 0]
    constraints = Constraints(
        (8,), [sets.half_spaces((8,), rows, torch.zeros(len(rows)).index_fill(0, torch.arange(9), 1))]
    )
    x = torch.randint(-3, 4, (40, 8), generator=generator, dtype=torch.float64)
    nearest = constraints.project(x)
    assert constraints.largest_violation(nearest).max() < 1e-12
    torch.testing.assert_close(nearest, Program(constraints).solve(x), atol=2e-5, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_the_active_set_method_tells_what_is_feasible_as_a_linear_program_does(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(18, 6, generator=generator, dtype=torch.float64)
    answers = []
    for bounds in torch.randn(30, 18, generator=generator, dtype=torch.float64) + 0.9:
        expected = linprog([0.0] * 6, rows.numpy(), bounds.numpy(), bounds=(None, None)).status == 0
        try:
            Constraints((6,), [sets.half_spaces((6,), rows, bounds)]).require_feasible()
            answers.append((True, expected))
        except InfeasibleError:
            answers.append((False, expected))
    assert all(found == expected for found, expected in answers)
    assert 1 <= sum(found for found, _ in answers) <= 29, "both kinds occur"


@pytest.mark.parametrize("scale", [1e8, 1e40, 1e120])
def test_a_sample_that_ran_away_is_projected_to_the_precision_of_where_it_ends(scale):
    constraints, x = families()["own rows"], random(5, *BARS, seed=9)
    nearest = constraints.project(scale * x)
    assert constraints.largest_violation(nearest).max() < 1e-11 * nearest.abs().max()
    boxed = Constraints(BARS, [sets.box(BARS, -1, 1), sets.mean(BARS, 0.1, 2)])
    assert boxed.largest_violation(boxed.project(scale * x)).max() < 1e-9


@pytest.mark.parametrize("name", [name for name in families() if name != "cvxpy"])
def test_samples_do_not_see_their_batch(name):
    constraints, x = families()[name], 2 * random(5, *BARS, seed=9)
    atol = 1e-6 if constraints.program else 1e-12
    for samples in ([0], [1, 2, 4]):
        part = constraints.take(samples)
        torch.testing.assert_close(part.project(x[samples]), constraints.project(x)[samples], atol=atol, rtol=0)
        whole = constraints.penalised(x, 2.0, "hinge")
        torch.testing.assert_close(part.penalised(x[samples], 2.0, "hinge"), whole[samples], atol=atol, rtol=0)


def test_violations_are_named_and_in_the_units_of_the_constraint():
    shape = (3, 2)
    constraints = Constraints(
        shape,
        [
            sets.mean(shape, 1.0, 1),
            sets.ordered(shape, 0, 1),
            sets.ball(torch.zeros(shape), 1.0, shape),
            sets.convex(lambda x: [x[0, 0] >= 5], "start"),
        ],
    )
    x = torch.tensor([[[0.0, 0], [2, 0], [0, 3]]])
    close(constraints.violations(x)[0], [0, 0, 2, 0, 13**0.5 - 1, 5], 1e-9)
    assert constraints.names[:2] == ["mean of channel 1", "channel 0 below channel 1, row 1 of 3"]
    assert constraints.names[4:] == ["ball", "start"]


@pytest.mark.parametrize("name", families())
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_its_sample(name, broken):
    constraints, x = families()[name], random(5, *BARS, seed=9)
    expected = constraints.project(x)
    x[3] = broken
    got = constraints.project(x)
    torch.testing.assert_close(got[[0, 1, 2, 4]], expected[[0, 1, 2, 4]], atol=1e-7, rtol=0)
    assert name == "box" or not got[3].isfinite().all()


def test_no_constraint_leaves_samples_as_they_are():
    constraints, x = Constraints(BARS, []), random(2, *BARS)
    torch.testing.assert_close(constraints.project(x), x)
    assert constraints.largest_violation(x).tolist() == [0, 0]


def test_what_cannot_hold_together_is_named_and_nothing_else():
    value = torch.tensor([0.2, 2.0, 0.1])
    members = [sets.ordered(BARS, 0, 1), sets.mean(BARS, value, 0), sets.box(BARS, -1, 1), sets.mean(BARS, 0.0, 2)]
    with pytest.raises(InfeasibleError) as caught:
        Constraints(BARS, members).require_feasible()
    message = str(caught.value)
    assert message.startswith("sample 1: ")
    assert "mean of channel 0" in message
    assert message.count("box") == 6, "the upper sides of six values that should have mean 2"
    assert "channel 2" not in message
    assert "below" not in message
    assert "at least 1 in total" in message, "the mean missed by 1"


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ([sets.mean(BARS, 1.0), sets.mean(BARS, 2.0)], "mean of channel 0; mean of channel 0"),
        ([sets.ball(torch.zeros(BARS), 1.0, BARS), sets.value_at(BARS, 2, 3.0)], "value of channel 0 at time 2; ball"),
        ([sets.convex(lambda x: [x[0, 0] >= 2], "start"), sets.box(BARS, -1, 1)], "box, row 25 of 48; start"),
    ],
)
def test_infeasible_constraints_of_each_kind_are_found_before_sampling(members, names):
    with pytest.raises(InfeasibleError, match=names):
        Constraints(BARS, members).require_feasible()


def test_sets_that_are_not_convex_are_refused_with_the_expression():
    with pytest.raises(ConstraintError, match=r"not convex by the rules of cvxpy.*1\.0 <= sigma_max"):
        Constraints(BARS, [sets.convex(lambda x: [cp.norm(x) >= 1], "far away")])
    with pytest.raises(ConstraintError, match="no constraint of cvxpy"):
        Constraints(BARS, [sets.convex(lambda x: [cp.norm(x)])])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sets.equality((4,), [[1.0, 2]], [0.0]), ShapeError, "a row has 2 entries"),
        (lambda: sets.half_spaces((2,), [[1.0, 2]], [0.0, 1.0]), ShapeError, "1 rows, but 2 bounds"),
        (lambda: sets.half_spaces((2,), [[0.0, 0]], [1.0]), ConstraintError, "a row of zeros"),
        (lambda: sets.equality((2,), [[1.0, 0]], [float("nan")]), ConstraintError, "finite"),
        (lambda: sets.box((2,), 1.0, 0.0), ConstraintError, "lower side"),
        (lambda: sets.mean((3, 2), 0.0, 2), ShapeError, "no channel 2"),
        (lambda: sets.argmax_at((3, 2), 3), ShapeError, "from 0 to 2"),
        (lambda: Constraints((3, 2), [sets.mean((4, 1), 0.0)]), ShapeError, "made for samples of 4 entries"),
        (
            lambda: Constraints(BARS, [sets.mean(BARS, torch.zeros(2)), sets.mean(BARS, torch.zeros(3), 1)]),
            ShapeError,
            "batches of different sizes",
        ),
        (lambda: Constraints(BARS, []).project(torch.zeros(2, 3)), ShapeError, r"samples of shape \(2, 3\)"),
        (lambda: families()["bars"].penalised(torch.zeros(1, *BARS), -1.0), ValueError, "gamma"),
        (lambda: families()["bars"].penalised(torch.zeros(1, *BARS), 1.0, "cubic"), ValueError, "cubic"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_next_solver_steps_in_where_one_fails(monkeypatch):
    constraints, x = families()["ball and rows"], random(5, *BARS, seed=3)
    expected = constraints.project(x)
    _, osqp, scs = convex.SOLVERS
    hasty = ("CLARABEL", {"max_iter": 2})
    monkeypatch.setattr(convex, "SOLVERS", [hasty, osqp, scs])  # OSQP cannot take a ball
    torch.testing.assert_close(constraints.project(x), expected, atol=1e-5, rtol=0)
    monkeypatch.setattr(convex, "SOLVERS", [hasty, ("SCS", {"max_iters": 3})])  # optimal_inaccurate, and far off
    with pytest.raises(ProjectionError, match="none of CLARABEL, SCS"):
        constraints.project(x)


def test_a_solver_steps_in_where_the_active_set_method_is_stuck(monkeypatch):
    constraints, x = families()["own rows"], random(5, *BARS, seed=3)
    expected = constraints.project(x)
    solve = dual_active_set.multipliers

    def stuck(*arguments):
        found, status = solve(*arguments)
        found[3], status[3] = 0, dual_active_set.STUCK
        return found, status

    monkeypatch.setattr(dual_active_set, "multipliers", stuck)
    torch.testing.assert_close(constraints.project(x), expected, atol=1e-5, rtol=0)


def test_the_own_methods_are_much_faster_than_the_solver():
    """A hundred constraints on 24 bars, and bars alone by formula; CPU time of both in one run."""
    shape = (24, 4)
    for members in ([sets.ohlc(shape)], [sets.ohlc(shape), sets.mean(shape, 0.3, 3), sets.value_at(shape, 3, 1.0)]):
        constraints, x = Constraints(shape, members), random(64, *shape)
        program = Program(constraints)
        constraints.project(x), program.solve(x.flatten(1)[:1])
        start = time.process_time()
        constraints.project(x)
        own = (time.process_time() - start) / 64
        start = time.process_time()
        program.solve(x.flatten(1)[:8])
        assert (time.process_time() - start) / 8 > 5 * own
