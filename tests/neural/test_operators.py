"""Measurements of images: adjoints, pseudo-inverses, singular values, masks, kernels and noise."""

from __future__ import annotations

import math

import pytest
import torch
from neural_models import noise

from bandits.errors import BadParameter
from bandits.neural.degradations import box_mask, gaussian_kernel, motion_kernel, random_mask
from bandits.neural.errors import OperatorError, RangeError, ShapeError
from bandits.neural.operators import (
    AveragePool,
    Blur,
    Inpainting,
    Matrix,
    check_adjoint,
    check_measurement,
    measure,
)

SHAPE = (2, 8, 8)
OPERATORS = {
    "random_mask": lambda n: Inpainting(random_mask(n, SHAPE), SHAPE),
    "box": lambda n: Inpainting(box_mask(SHAPE, 4), SHAPE),
    "pool": lambda n: AveragePool(4, SHAPE),
    "gaussian_blur": lambda n: Blur(gaussian_kernel(5, 0.8), SHAPE),
    "motion_blur": lambda n: Blur(motion_kernel(n, 5), SHAPE),
    "matrix": lambda n: Matrix(torch.linspace(-1, 2, 40 * 128, dtype=torch.float64).sin().reshape(40, 128), SHAPE),
    "matrices": lambda n: Matrix(n.normal(30, 128), SHAPE),
}


@pytest.fixture(params=OPERATORS)
def operator(request):
    return OPERATORS[request.param](noise(3, 4, 5))


@pytest.fixture
def x():
    return noise(0, 1, 2).normal(*SHAPE)


def dense(operator, batch: int) -> torch.Tensor:
    """The matrix of an operator, column by column, (B, m, d)."""
    units = torch.eye(math.prod(operator.in_shape), dtype=torch.float64)
    columns = [operator.A(unit.view(1, *operator.in_shape).expand(batch, *operator.in_shape)) for unit in units]
    return torch.stack([column.flatten(1) for column in columns], -1)


def test_adjoint_and_pseudo_inverse_are_those_of_the_matrix(operator, x):
    matrix, y = dense(operator, 3), operator.A(noise(6, 7, 8).normal(*SHAPE))
    flat = y.flatten(1).unsqueeze(-1)
    assert y.shape == (3, *operator.out_shape)
    assert torch.allclose(operator.At(y).flatten(1), (matrix.mT @ flat)[..., 0], atol=1e-10)
    inverse = torch.linalg.pinv(matrix, rtol=1e-6)
    assert torch.allclose(operator.pinv(y).flatten(1), (inverse @ flat)[..., 0], atol=1e-7)


def test_spectral_acts_in_the_right_singular_vectors(operator, x):
    _, s, Vt = torch.linalg.svd(dense(operator, 3), full_matrices=True)
    s = torch.nn.functional.pad(s, (0, Vt.shape[-1] - s.shape[-1]))
    s = s * (s > 1e-9 * s.amax(1, keepdim=True))

    def gains(s):
        return torch.where(s == 0, -0.7, (1.5 + s) ** 2)

    expected = Vt.mT @ (gains(s).unsqueeze(-1) * (Vt @ x.flatten(1).unsqueeze(-1)))
    assert torch.allclose(operator.spectral(x, gains).flatten(1), expected[..., 0], atol=1e-8)


def test_measurements_of_the_operator_are_accepted(operator, x):
    check_adjoint(operator, operator.A(x))
    check_measurement(operator, operator.A(x), 3)


def test_blur_that_erases_a_frequency_has_the_truncated_pseudo_inverse():
    kernel = (
        torch.ones(1, 1, 3, dtype=torch.float64).expand(1, 3, 3) / 9
    )  # of period 3: erases a third of the frequencies
    blur, x = Blur(kernel, (1, 6, 6)), noise(0).normal(1, 6, 6)
    y = blur.A(x)
    assert torch.allclose(blur.A(blur.pinv(y)), y, atol=1e-12)
    assert torch.allclose(blur.pinv(y).flatten(), (torch.linalg.pinv(dense(blur, 1)[0]) @ y.flatten()), atol=1e-10)
    assert not torch.allclose(blur.pinv(y), x, atol=0.1)


def test_blur_is_the_convolution():
    x = noise(0).normal(1, 6, 7)
    kernel = noise(1).normal(3, 3)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    expected = torch.nn.functional.conv2d(padded, kernel.flip(-1, -2).unsqueeze(1))
    assert torch.allclose(Blur(kernel, (1, 6, 7)).A(x), expected, atol=1e-12)


def test_random_masks_hide_an_exact_share_of_pixels_in_every_channel():
    shape, n = (3, 20, 20), noise(*range(300))
    mask = random_mask(n, shape)
    hidden = (~mask).sum((1, 2, 3))
    assert mask.shape == (300, 1, 20, 20)
    assert 120 <= int(hidden.min()) < 135
    assert 265 < int(hidden.max()) <= 280
    assert float(hidden.double().mean()) == pytest.approx(200, abs=4 * 160 / math.sqrt(12 * 300))
    fixed = random_mask(n, shape, 0.5, 0.5)
    assert set((~fixed).sum((1, 2, 3)).tolist()) == {200}
    y = Inpainting(mask, shape).A(torch.ones(300, *shape, dtype=torch.float64))
    assert torch.equal(y[:, 0], y[:, 2])


def test_masks_and_kernels_of_an_image_do_not_depend_on_its_batch():
    for draw in (lambda n: random_mask(n, SHAPE), lambda n: motion_kernel(n, 5)):
        together = draw(noise(4, 9, 2))
        for i, sample in enumerate((4, 9, 2)):
            assert torch.allclose(together[i].double(), draw(noise(sample))[0].double(), atol=1e-12)


def test_box_hides_the_centre():
    mask = box_mask((1, 8, 8), 4)
    assert not mask[..., 2:6, 2:6].any()
    assert int(mask.sum()) == 48


def test_kernels_sum_to_one_and_have_their_width():
    kernel = gaussian_kernel(61, 3.0)[0]
    place = torch.arange(61) - 30.0
    assert float(kernel.sum()) == pytest.approx(1)
    assert float((kernel.sum(0) * place**2).sum()) == pytest.approx(9, rel=1e-6)
    moved = motion_kernel(noise(0, 1), 15)
    assert moved.sum((1, 2)).tolist() == pytest.approx([1, 1])
    assert (moved >= 0).all()
    straight = motion_kernel(noise(0), 15, intensity=0.0)[0]
    spread = torch.stack([torch.arange(225) // 15, torch.arange(225) % 15]).cov(aweights=straight.flatten())
    across, along = torch.linalg.eigvalsh(spread)
    assert across < 0.4, "without turns the path is a line, one pixel wide"
    assert along > 10


def test_noise_has_its_size_and_spares_hidden_pixels():
    shape = (1, 40, 40)
    operator = Inpainting(random_mask(noise(0, 1), shape), shape)
    x = torch.zeros(2, *shape, dtype=torch.float64)
    y = measure(operator, x, 0.05, noise(0, 1, seed=3))
    assert (y[~operator.mask] == 0).all()
    assert float(y[operator.mask].std()) == pytest.approx(0.05, rel=0.1)


class Transposed(Matrix):
    def At(self, y):
        return 1.01 * super().At(y)


def test_a_wrong_adjoint_is_refused_with_its_mismatch():
    with pytest.raises(OperatorError, match=r"differ by 0\.00\d+ of their scale"):
        check_adjoint(Transposed(torch.eye(4, dtype=torch.float64)), torch.zeros(64, 4, dtype=torch.float64))


def test_data_that_does_not_fit_is_refused():
    pool = AveragePool(2, SHAPE)
    with pytest.raises(ShapeError, match=r"\(B, \*\(1, 8, 8\)\).*\(B, \*\(2, 8, 8\)\)"):
        measure(pool, torch.zeros(1, 1, 8, 8), 0.0, noise())
    with pytest.raises(RangeError, match=r"\[0, 1.01\], expected within \[-1.0, 1.0\]"):
        measure(pool, torch.linspace(0, 1.01, 128, dtype=torch.float64).view(1, *SHAPE), 0.0, noise())
    measure(pool, torch.full((1, *SHAPE), 1.0009, dtype=torch.float64), 0.0, noise())
    with pytest.raises(BadParameter, match="sigma_y must be finite"):
        measure(pool, torch.zeros(1, *SHAPE), -0.1, noise())
    with pytest.raises(ShapeError, match=r"\(3, 2, 8, 8\).*\(3, 2, 4, 4\)"):
        check_measurement(pool, torch.zeros(3, *SHAPE), 3)
    with pytest.raises(ShapeError, match="holds 3 masks"):
        check_measurement(OPERATORS["random_mask"](noise(0, 1, 2)), torch.zeros(2, *SHAPE), 2)
    with pytest.raises(ShapeError, match="do not tile"):
        AveragePool(3, SHAPE)
    with pytest.raises(ShapeError, match="does not fit"):
        Inpainting(torch.ones(1, 1, 4, 4), SHAPE)
    with pytest.raises(ShapeError, match="does not fit"):
        Blur(torch.ones(1, 4, 4), SHAPE)


def test_masks_of_all_or_nothing_are_warned_of():
    with pytest.warns(UserWarning, match="no pixel at all"):
        Inpainting(torch.zeros(1, 1, 8, 8), SHAPE)
    whole = Inpainting(torch.ones(1, 1, 8, 8), SHAPE)
    with pytest.warns(UserWarning, match="nothing to infer"):
        measure(whole, torch.zeros(1, *SHAPE, dtype=torch.float64), 0.0, noise())
    assert measure(whole, torch.zeros(1, *SHAPE, dtype=torch.float64), 0.1, noise()).shape == (1, *SHAPE)


def test_impossible_masks_and_kernels_are_refused():
    for bad in (
        lambda: random_mask(noise(), SHAPE, 0.7, 0.3),
        lambda: box_mask(SHAPE, 9),
        lambda: gaussian_kernel(4, 1.0),
        lambda: gaussian_kernel(5, 0.0),
        lambda: motion_kernel(noise(), 5, -1.0),
    ):
        with pytest.raises(BadParameter):
            bad()
