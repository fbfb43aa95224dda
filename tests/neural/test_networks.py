"""Small networks keep samples apart, and take and give the shapes that they say."""

from __future__ import annotations

import math

import pytest
import torch

from bandits.neural.data import load_digits
from bandits.neural.networks import VAE, Autoencoder, EpsMLP, EpsSeries, EpsUNet, time_features
from bandits.neural.recipes import mmd


def networks():
    torch.manual_seed(0)
    return {
        "mlp": (EpsMLP(64, width=32), (1, 8, 8)),
        "mlp on series": (EpsMLP(12, width=16), (4, 3)),
        "series": (EpsSeries(12, 3, width=8), (12, 3)),
        "unet": (EpsUNet(1, width=8), (1, 8, 8)),
        "unet 16": (EpsUNet(3, width=8), (3, 16, 16)),
    }


@pytest.mark.parametrize("name", list(networks()))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_does_not_see_the_others(name, dtype):
    model, shape = networks()[name]
    z, t = torch.randn(8, *shape, dtype=dtype, generator=torch.Generator().manual_seed(1)), torch.arange(8) * 100
    together = model.eps(z, t)
    assert together.shape == z.shape
    assert together.dtype == dtype
    for sizes in ((1,) * 8, (3, 5)):
        apart = torch.cat([model.eps(a, b) for a, b in zip(z.split(sizes), t.split(sizes), strict=True)])
        torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list(networks()))
def test_gradients_flow_to_the_sample_and_the_time_matters(name):
    model, shape = networks()[name]
    z = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(model.eps(z, torch.tensor([3, 900])).square().sum(), z)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()
    assert (model.eps(z, torch.tensor([3, 900])) - model.eps(z, torch.tensor([700, 900])))[0].abs().max() > 1e-6


def test_time_features_are_sines_and_cosines():
    found = time_features(torch.tensor([0, 7]), 4, longest=100.0)
    expected = [math.sin(7), math.sin(0.07), math.cos(7), math.cos(0.07)]
    assert found[0].tolist() == [0, 0, 1, 1]
    assert found[1].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_codecs_scale_latents_and_undo_it(kind):
    torch.manual_seed(0)
    codec = kind((1, 8, 8), latent=4, width=16)
    x = torch.randn(5, 1, 8, 8)
    z = codec.encode(x)
    decoded = codec.decode(z)
    assert (z.shape, decoded.shape) == ((5, 4), (5, 1, 8, 8))
    codec.scale.fill_(3.0)
    torch.testing.assert_close(codec.encode(x), 3 * z)
    torch.testing.assert_close(codec.decode(3 * z), decoded)
    assert codec.encode(x.double()).dtype == torch.float64


def test_digits_are_split_once_and_for_all():
    digits = load_digits()
    parts = (digits.train, digits.validation, digits.test)
    assert [part.shape for part in parts] == [(n, 1, 8, 8) for n in (1500, 97, 200)]
    assert min(part.min() for part in parts) == -1
    assert max(part.max() for part in parts) == 1
    assert len(digits.test_labels) == 200
    together = torch.cat([part.flatten(1) for part in parts])
    assert len(torch.unique(together, dim=0)) == 1797


def test_mean_discrepancy_is_what_its_formula_says():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 3, generator=generator), torch.randn(5, 3, generator=generator) + 1
    width = torch.tensor([[float((a - b).square().sum()) for b in y] for a in y]).median()

    def k(a, b):
        return math.exp(-float((a - b).square().sum()) / float(width))

    expected = sum(k(x[i], x[j]) for i in range(6) for j in range(6) if i != j) / 30
    expected += sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    expected -= 2 * sum(k(a, b) for a in x for b in y) / 30
    assert mmd(x, y) == pytest.approx(expected, rel=1e-5)
    big = torch.randn(400, 3, generator=generator)
    assert abs(mmd(big[:200], big[200:])) < 0.01
    assert mmd(big[:200], big[200:] + 1) > 0.1
