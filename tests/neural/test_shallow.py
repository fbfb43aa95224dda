"""LoRA-ML on shallow networks."""

from __future__ import annotations

import pytest
import torch
from bandits.experiments.peft.shallow import ShallowNet, draw_shallow, fine_tune, init_net, observe, retrain

from bandits.neural.noise import Noise

OLD, NEW = slice(0, 3), slice(3, None)


def noise(stream, samples=range(3)):
    return Noise(0, samples, dtype=torch.float64, salt=(stream,))


def test_outputs_are_the_formula():
    truth = draw_shallow(noise("tasks"), d=4, k=2)
    data = observe(noise("data"), truth, OLD, samples=5, noise_std=0.0)
    for b in range(3):
        for t in range(3):
            W = truth.hidden.A[b] + truth.hidden.U[b, t] @ truth.hidden.U[b, t].T
            expected = torch.stack([truth.c[b] @ torch.sigmoid(W @ x) for x in data.x[b, t]])
            assert torch.allclose(data.y[b, t], expected)


def test_observations_have_the_noise_asked_for():
    truth = draw_shallow(noise("tasks"), d=4)
    noisy = observe(noise("data"), truth, OLD, samples=2000, noise_std=0.3)
    assert (noisy.y - truth(noisy.x, OLD)).std().item() == pytest.approx(0.3, rel=0.02)


def played(samples, *, k=1, epochs=200):
    truth = draw_shallow(noise("tasks", samples), d=4)
    data = observe(noise("data", samples), truth, OLD, samples=80)
    new = observe(noise("new", samples), truth, NEW, samples=40)
    net = retrain(init_net(noise("start", samples), 4), data, noise("adapters", samples), k=k, epochs=epochs, lr=1e-2)
    low_rank, path = fine_tune(net, new, noise("tune", samples), rank=1, steps=100, lr=1e-2, record=[0, 50, 100])
    return data, net, low_rank, path


@pytest.mark.parametrize("k", [1, None])
def test_a_replication_does_not_depend_on_its_batch(k):
    def one(samples):
        _, net, low_rank, _ = played(samples, k=k)
        at = list(samples).index(1)
        return torch.cat([net.A[at].flatten(), net.c[at], low_rank[at].flatten()])

    alone = one([1])
    for samples in ([0, 1, 2], [4, 1, 0, 2, 3, 5, 6, 7]):
        assert (one(samples) - alone).abs().max() < 1e-5


def test_retraining_is_a_plain_loop_over_one_replications_tasks():
    truth = draw_shallow(noise("tasks"), d=4)
    data, start = observe(noise("data"), truth, OLD, samples=9), init_net(noise("start"), 4)
    found = retrain(start, data, noise("adapters"), k=1, epochs=30, lr=0.02, init=0.5)
    U0 = 0.5 * noise("adapters").normal(3, 4, 1)
    for b in range(3):
        A, c, U = (p.clone().requires_grad_() for p in (start.A[b], start.c[b], U0[b]))
        optimiser = torch.optim.AdamW([A, c, U], lr=0.02)
        for _ in range(30):
            optimiser.zero_grad()
            fits = [torch.sigmoid(data.x[b, t] @ (A + U[t] @ U[t].T).T) @ c for t in range(3)]
            sum(((fit - data.y[b, t]) ** 2).mean() for t, fit in enumerate(fits)).backward()
            optimiser.step()
        assert torch.allclose(found.A[b], A, atol=1e-9)
        assert torch.allclose(found.c[b], c, atol=1e-9)


def test_own_adapters_fit_the_tasks_better_than_one_network():
    """The loss that retraining ends with, measured by fitting the old tasks anew from either base."""
    errors = {}
    for k in (1, None):
        data, net, _, _ = played(range(3), k=k, epochs=600)
        low_rank, _ = fine_tune(net, data, noise("again"), rank=1, steps=300, lr=1e-2)
        errors[k] = (net(data.x, low_rank) - data.y).square().mean((1, 2))
        assert (errors[k] < (net(data.x) - data.y).square().mean((1, 2))).all()
    assert errors[1].mean() < errors[None].mean()


def test_fine_tuning_records_where_asked_and_keeps_the_base():
    _, net, low_rank, path = played([0])
    before = (net.A.clone(), net.c.clone())
    assert list(path) == [0, 50, 100]
    assert torch.equal(path[100], low_rank)
    assert torch.linalg.matrix_rank(low_rank[0, 0]) == 1
    assert torch.equal(net.A, before[0]) and torch.equal(net.c, before[1])


def test_bad_input_is_refused_in_one_line_that_names_the_field():
    truth = draw_shallow(noise("tasks"), d=4)
    data, net = observe(noise("data"), truth, OLD, samples=5), init_net(noise("start"), 4)
    nan = type(data)(data.x, data.y.clone())
    nan.y[0, 2, 1] = torch.nan
    cases = {
        "k must lie between 1 and 4": lambda: retrain(net, data, noise("a"), k=5),
        "lr must be": lambda: retrain(net, data, noise("a"), k=1, lr=0),
        "init must be": lambda: fine_tune(net, data, noise("a"), rank=1, init=0),
        "rank must lie": lambda: fine_tune(net, data, noise("a"), rank=0),
        "steps must be": lambda: fine_tune(net, data, noise("a"), rank=1, steps=0),
        r"y\[0, 2, 1\] = nan": lambda: retrain(net, nan, noise("a"), k=1),
        "samples must be": lambda: observe(noise("d"), truth, OLD, samples=0),
        "noise_std must be": lambda: observe(noise("d"), truth, OLD, samples=5, noise_std=-1),
        "tasks must be": lambda: observe(noise("d"), truth, slice(0, 0), samples=5),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert isinstance(net, ShallowNet)
