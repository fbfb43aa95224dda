"""SOR against printed iteration counts, SciPy's solutions and itself in other company; its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from bandits.environments._sor import sor
from bandits.environments._sor_batch import SLOTS, SorBatch, finish, sweep
from bandits.environments._sor_theory import best_omega, iteration_bound, jacobi_radius, sor_radius
from scipy import sparse
from scipy.sparse.linalg import spsolve

OMEGAS = [1.0, 1.2, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 1.95]
ONES = {  # iterations for b = 1 at OMEGAS, and at omega*
    -0.15: ([2927, 1950, 1252, 971, 724, 503, 293, 189, 392], 147),
    0.0: ([223, 145, 88, 62, 43, 58, 89, 187, 383], 41),
    0.1: ([140, 90, 51, 31, 43, 58, 90, 187, 381], 33),
    0.45: ([64, 39, 25, 30, 42, 55, 89, 185, 379], 23),
}
CORNER = {  # for b = e_1 at 1, 1.4, 1.6, 1.8, and at omega*
    -0.15: ([2265, 968, 560, 226], 117),
    0.0: ([168, 64, 34, 80], 29),
    0.1: ([104, 36, 33, 80], 24),
    0.45: ([45, 19, 33, 79], 14),
}
FORMS = {  # beta, omega*
    -0.15: (0.9968758167, 1.8535941504),
    0.0: (0.9594929736, 1.5603879213),
    0.1: (0.9360907060, 1.4795539950),
    0.45: (0.8624655942, 1.3279192323),
}
every_shift = pytest.mark.parametrize("shift", list(ONES))


def laplacian(n: int, shift: float):
    line = sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    eye = sparse.eye_array(n)
    return (sparse.kron(line, eye) + sparse.kron(eye, line) + shift * sparse.eye_array(n * n)).tocsc()


@every_shift
def test_iterations_are_the_printed_ones(shift):
    """Exactly: the specification allows 1 more or less."""
    corner = np.zeros((10, 10))
    corner[0, 0] = 1.0
    star = FORMS[shift][1]
    for rhs, omegas, (counts, at_star) in (
        (np.ones((10, 10)), OMEGAS, ONES[shift]),
        (corner, [1.0, 1.4, 1.6, 1.8], CORNER[shift]),
    ):
        assert [sor(rhs, shift, omega)[1] for omega in omegas] == counts
        assert sor(rhs, shift, star)[1] == at_star
        omega = np.array([*omegas, star])[:, None]
        count, solved = SorBatch(10, 1e-8, 10_000).count(rhs.reshape(-1, 1), np.array([4.0 + shift]), omega)
        assert count[:, 0].tolist() == [*counts, at_star]
        assert solved.all()


@every_shift
def test_closed_forms_have_the_printed_digits(shift):
    """Within one unit of the last: beta(0.45) = 0.86246559426 is printed cut off."""
    beta, star = FORMS[shift]
    assert jacobi_radius(shift) == pytest.approx(beta, abs=1e-10)
    assert best_omega(jacobi_radius(shift)) == pytest.approx(star, abs=1e-10)


def test_the_iteration_bound_has_the_printed_digits():
    beta = jacobi_radius(0.0)
    printed = {
        1.0: (223.739457, 249.538935, 281.784877),
        1.5: (59.027983, 66.609016, 76.069364),
        1.7: (52.645570, 59.532100, 68.121748),
    }
    for omega, values in printed.items():
        got = [float(iteration_bound(omega, beta, 1e-8, tau)) for tau in (0.0, 0.1, 0.2)]
        assert got == pytest.approx(values, abs=5e-7)


@pytest.mark.parametrize("omega", [0.7, 1.0, 1.3, 1.56, 1.8])
@pytest.mark.parametrize("shift", [-0.1, 0.3])
def test_the_spectral_radius_is_that_of_the_iteration_matrix(omega, shift):
    matrix = laplacian(6, shift).toarray()
    lower = np.tril(matrix, -1)
    step = np.eye(36) - matrix @ np.linalg.inv(np.diag(np.diag(matrix)) / omega + lower)
    radius = np.abs(np.linalg.eigvals(step)).max()
    assert sor_radius(omega, jacobi_radius(shift, 6)) == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize(("n", "shift"), [(1, 0.5), (4, -0.2), (10, -0.15), (13, 0.4)])
def test_the_solution_is_scipys_and_a_start_near_it_saves_iterations(n, shift):
    rhs = np.random.default_rng(n).normal(size=(n, n))
    x, count, solved = sor(rhs, shift, 1.4)
    expected = spsolve(laplacian(n, shift), rhs.ravel()).reshape(n, n)
    assert solved
    np.testing.assert_allclose(x, expected, atol=2e-5 * np.abs(expected).max())
    residual = laplacian(n, shift) @ x.ravel() - rhs.ravel()
    assert np.linalg.norm(residual) < 1e-8 * np.linalg.norm(rhs)
    again = sor(rhs, shift, 1.4, start=x, tolerance=1e-3)
    assert again[2]
    assert n == 1 or again[1] < count


@pytest.mark.parametrize("n", [1, 3, 10])
def test_many_at_once_take_as_long_as_one_by_one(n):
    rng = np.random.default_rng(n)
    size, omegas = 7, np.array([0.3, 1.0, 1.55, 1.9, 1.2])
    shift = rng.uniform(-0.15, 0.45, size)
    rhs = rng.normal(size=(n * n, size))
    batch = SorBatch(n, 1e-8, 400)
    omega = np.repeat(omegas[:, None], size, axis=1)
    count, solved = batch.count(rhs, 4.0 + shift, omega)
    for b in range(size):
        for k in range(omegas.size):
            _, alone, ended = sor(rhs[:, b].reshape(n, n), shift[b], omegas[k], cap=400)
            assert (count[k, b], solved[k, b]) == (alone, ended)
    if n == 10:
        assert 0 < solved.sum() < solved.size, "some must meet the cap"
    least, arm = batch.best(rhs, 4.0 + shift, omega)
    assert (least == count.min(axis=0)).all()
    assert (arm == count.argmin(axis=0)).all()


def test_company_changes_nothing():
    """One system alone runs in the scalar loop, many in the vector loop."""
    rng = np.random.default_rng(0)
    size = 3 * SLOTS
    shift, rhs = rng.uniform(-0.15, 0.45, size), rng.normal(size=(100, size))
    omega = rng.uniform(1.0, 1.95, (8, size))
    batch = SorBatch(10, 1e-10, 10_000)
    count, _ = batch.count(rhs, 4.0 + shift, omega)
    for b in range(0, size, 7):
        lane = np.s_[:, b : b + 1]
        for k in range(8):
            alone, _ = batch.count(np.ascontiguousarray(rhs[lane]), 4.0 + shift[b : b + 1], omega[k : k + 1, b : b + 1])
            assert alone[0, 0] == count[k, b]


def test_ties_go_to_the_lowest_omega():
    rhs = np.ones((1, 1))
    least, arm = SorBatch(1, 1e-8, 100).best(rhs, np.array([4.0]), np.array([[0.5], [1.0], [1.0]]))
    assert (least, arm) == (1, 1)


def test_a_right_hand_side_of_zeros_costs_nothing():
    x, count, solved = sor(np.zeros((3, 3)), 0.0, 1.5)
    assert (x == 0).all()
    assert (count, solved) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"omega": 2.0}, "omega must lie in \\(0, 2\\), got 2"),
        ({"omega": 0.0}, "omega must lie in"),
        ({"omega": float("nan")}, "omega must lie in"),
        ({"shift": -4 + 4 * np.cos(np.pi / 4)}, "singular or indefinite: it must be greater than"),
        ({"shift": float("nan")}, "singular or indefinite"),
        ({"rhs": np.ones((3, 4))}, "rhs has shape \\(3, 4\\), expected \\(n, n\\)"),
        ({"rhs": np.full((3, 3), np.inf)}, "must be finite"),
        ({"start": np.ones(9)}, "start has shape \\(9,\\), expected \\(3, 3\\)"),
        ({"tolerance": 0.0}, "tolerance must lie in"),
        ({"cap": 0}, "cap must lie in"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    given = {"rhs": np.ones((3, 3)), "shift": 0.0, "omega": 1.5} | arguments
    with pytest.raises(ValueError, match=message) as caught:
        sor(given.pop("rhs"), given.pop("shift"), given.pop("omega"), **given)
    assert "\n" not in str(caught.value)


def test_a_solver_that_does_not_converge_says_so():
    x, count, solved = sor(np.ones((10, 10)), -0.15, 1.0, cap=50)
    assert (count, solved) == (50, False)
    assert np.isfinite(x).all()


def test_the_scalar_and_the_vector_loop_compute_the_same_bits():
    """Two sweeps in one slot, and the residual that `finish` compares with its target in the other loop."""
    n, s = 6, 5
    rng = np.random.default_rng(1)
    delta = np.zeros((n + 2, (n + 2) * SLOTS))
    cube = delta.reshape(n + 2, n + 2, SLOTS)
    cube[1:-1, 1:-1] = rng.normal(size=(n, n, SLOTS))
    keep, step = np.full(n * SLOTS, -0.7), np.full(n * SLOTS, 0.37)
    before, norm = delta.copy(), np.empty(SLOTS)
    for sweeps in (1, 2, 3):
        sweep(delta, keep, step, np.empty(n * SLOTS), np.empty(n * SLOTS), norm)
        alone = np.empty((n + 3, n + 2))
        arguments = before, s, -0.7, 0.37
        taken = finish(*arguments, norm[s], 0, sweeps, alone)
        assert taken == (sweeps, False)
        assert (alone[: n + 2] == cube[:, :, s]).all()
        assert finish(*arguments, np.nextafter(norm[s], np.inf), 0, sweeps, alone)[1]
