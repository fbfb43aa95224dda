"""Retraining on digit tasks: the batched program against plain torch, and what must hold of any batch."""

from __future__ import annotations

import pytest
import torch
from bandits.experiments.peft import digit_retraining as methods
from bandits.experiments.peft.batched_mlp import MLP, init_adapters, init_mlp, logits, mean_cross_entropy
from bandits.experiments.peft.digit_tasks import TaskSet, conflicting, few_shot, pairs
from torch import nn

from bandits.neural.errors import NumericalError
from bandits.neural.noise import Noise

SIZES = [64, 8, 8, 2]


def noise(stream, samples=range(3)):
    return Noise(0, samples, dtype=torch.float64, salt=(stream,))


def short(suite, n=60):
    """The first n training samples, so that tests take no time."""
    train = suite.train
    return TaskSet(train.x[:, :, :n], train.labels[..., :n], train.weight[..., :n])


def test_outputs_and_losses_are_those_of_a_plain_network():
    net = init_mlp(noise("net"), SIZES)
    adapters = init_adapters(noise("adapters"), SIZES, tasks=2, rank=2, alpha=6)
    for up in adapters.up:
        up.data = noise("up").normal(*up.shape[1:])
    x = noise("x").normal(2, 5, 64)
    labels = (noise("y").uniform(2, 5) < 0.5).long()
    weight = torch.tensor([1.0, 1, 1, 0, 0]).double().expand(3, 2, 5)
    found = logits(x, net, adapters)
    loss = mean_cross_entropy(found, labels, weight)
    for b in range(3):
        for t in range(2):
            layers = []
            for W, bias, up, down in zip(net.weights, net.biases, adapters.up, adapters.down, strict=True):
                layer = nn.Linear(W.shape[-1], W.shape[-2]).double()
                layer.weight.data = W[b, 0] + 3 * up[b, t].detach() @ down[b, t].detach()
                layer.bias.data = bias[b, 0, 0]
                layers += [layer, nn.ReLU()]
            expected = nn.Sequential(*layers[:-1])(x[b, t])
            assert torch.allclose(found[b, t], expected)
            assert torch.allclose(loss[b, t], nn.functional.cross_entropy(expected[:3], labels[b, t, :3]))


def test_fresh_adapters_change_nothing():
    net, x = init_mlp(noise("net"), SIZES), noise("x").normal(1, 5, 64)
    adapters = init_adapters(noise("adapters"), SIZES, tasks=2, rank=2)
    assert torch.equal(logits(x, net, adapters), logits(x, net).expand(-1, 2, -1, -1))


def test_conflicting_tasks_are_half_of_the_classes_on_the_same_images():
    suite = conflicting(noise("tasks"), tasks=4, new_tasks=2)
    assert suite.train.x.shape == (3, 1, 1200, 64)
    assert suite.test.x.shape == (3, 1, 597, 64)
    assert [part.labels.shape[1] for part in (suite.train, suite.new, suite.test)] == [4, 2, 2]
    assert 0.4 < suite.train.labels.double().mean() < 0.6
    assert float(suite.train.x.max()) == 1.0
    assert not torch.equal(suite.train.labels[:, 0], suite.train.labels[:, 1])


def test_pairs_hold_the_two_digits_of_each_task():
    from sklearn.datasets import load_digits

    known = {
        tuple((image / 16).tolist()): int(digit) for image, digit in zip(*load_digits(return_X_y=True), strict=True)
    }
    suite = pairs(noise("tasks", [0]))
    for t, first in enumerate([0, 2, 4, 6]):
        real = suite.train.weight[0, t] == 1
        digits = [known[tuple(image.tolist())] for image in suite.train.x[0, t, real]]
        assert suite.train.labels[0, t, real].tolist() == [int(digit == first + 1) for digit in digits]
        assert set(digits) == {first, first + 1}
    count = suite.new.weight.sum() + suite.test.weight.sum()
    assert count == sum(digit in (8, 9) for digit in load_digits().target)


def test_fewer_shots_are_among_more():
    new = conflicting(noise("tasks"), tasks=1).new
    few, more = few_shot(noise("few"), new, 5), few_shot(noise("few"), new, 9)
    assert torch.equal(few.x, more.x[:, :, :5])
    assert torch.equal(few.labels, more.labels[..., :5])
    assert not torch.equal(few.x[:, 0], few.x[:, 1])


def trained(samples, which):
    suite = conflicting(noise("tasks", samples), tasks=3)
    base, tasks = init_mlp(noise("net", samples), SIZES), short(suite)
    made = {
        "lora_ml": lambda: methods.lora_ml(base, tasks, noise("adapters", samples), epochs=30),
        "standard": lambda: methods.standard_retraining(base, tasks, epochs=30),
        "last_layer": lambda: methods.last_layer_ml(base, tasks, noise("heads", samples), epochs=30),
        "reptile": lambda: methods.reptile(base, tasks, outer=3, inner=5),
        "random": lambda: base,
    }
    return suite, made[which]()


METHODS = ["lora_ml", "standard", "last_layer", "reptile"]


@pytest.mark.parametrize("which", METHODS)
def test_a_replication_does_not_depend_on_its_batch(which):
    def play(samples):
        suite, net = trained(samples, which)
        few = few_shot(noise("few", samples), suite.new, 20)
        path = methods.fine_tune(net, few, suite.test, noise("tune", samples), steps=20)
        at = list(samples).index(1)
        return torch.cat([*(p[at].flatten() for p in net.parameters), path[20][at]])

    alone = play([1])
    for samples in ([0, 1, 2], [4, 1, 0, 2, 3, 5, 6, 7]):
        assert (play(samples) - alone).abs().max() < 1e-5


@pytest.mark.parametrize("which", METHODS)
def test_retraining_returns_a_shared_base_and_leaves_the_first_one_alone(which):
    before = init_mlp(noise("net"), SIZES)
    net = trained(range(3), which)[1]
    again = trained(range(3), "random")[1]
    assert all(torch.equal(a, b) for a, b in zip(before.parameters, again.parameters, strict=True))
    assert [p.shape for p in net.parameters] == [p.shape for p in before.parameters]
    assert not torch.equal(net.weights[0], before.weights[0])


def test_reptile_moves_towards_the_mean_of_the_tasks_copies():
    suite = conflicting(noise("tasks"), tasks=2)
    tasks, base = short(suite), init_mlp(noise("net"), SIZES)
    mean = [torch.zeros_like(p) for p in base.parameters]
    for t in range(2):
        copy = base.copy()
        optimiser = torch.optim.SGD(copy.parameters, lr=0.1)
        for _ in range(4):
            optimiser.zero_grad()
            outputs = logits(tasks.x, copy)
            mean_cross_entropy(outputs, tasks.labels[:, t : t + 1], tasks.weight[:, t : t + 1]).sum().backward()
            optimiser.step()
        mean = [m + p.detach() / 2 for m, p in zip(mean, copy.parameters, strict=True)]
    net = methods.reptile(base, tasks, outer=1, inner=4, inner_lr=0.1, outer_lr=1e-3)
    for p, start, target in zip(net.parameters, base.parameters, mean, strict=True):
        # the first step of Adam has length lr along the sign of the gradient
        far = (target - start).abs() > 1e-5
        assert torch.allclose((p - start)[far], 1e-3 * (target - start)[far].sign(), rtol=1e-2)


def test_lora_ml_fits_contradicting_tasks_where_one_network_cannot():
    """Two tasks with opposite labels: one network cannot beat chance on both, log 2; with adapters both are learnt."""
    tasks = short(conflicting(noise("tasks"), tasks=1))
    opposite = TaskSet(tasks.x, torch.cat([tasks.labels, 1 - tasks.labels], 1), tasks.weight.expand(-1, 2, -1))
    base = init_mlp(noise("net"), SIZES)
    one = methods.standard_retraining(base, opposite, epochs=100, lr=1e-2)
    loss = mean_cross_entropy(logits(opposite.x, one), opposite.labels, opposite.weight)
    assert torch.allclose(loss.mean(1), torch.full((3,), 0.6931).double(), atol=0.01)
    ours = methods.lora_ml(base, opposite, noise("adapters"), epochs=100, lr=1e-2)
    path = methods.fine_tune(ours, opposite, opposite, noise("tune"), steps=60, lr=1e-2, record=[0, 30])
    assert list(path) == [0, 30, 60]
    assert (path[60] > 0.9).all()


def test_bad_input_is_refused_in_one_line_that_names_the_field():
    suite = conflicting(noise("tasks"), tasks=2)
    tasks, base = short(suite), init_mlp(noise("net"), SIZES)
    nan = TaskSet(tasks.x.clone(), tasks.labels, tasks.weight)
    nan.x[2, 0, 1, 5] = torch.inf
    cases = {
        "lr must be a number above 0, got 0": lambda: methods.standard_retraining(base, tasks, lr=0),
        "outer_lr must be": lambda: methods.reptile(base, tasks, outer_lr=-1.0),
        "inner_lr must be": lambda: methods.reptile(base, tasks, inner_lr=float("nan")),
        "rank must lie between 1 and 2, the smaller side of a layer 8 -> 2, got 3": lambda: methods.lora_ml(
            base, tasks, noise("a"), rank=3
        ),
        "alpha must be": lambda: init_adapters(noise("a"), SIZES, tasks=1, rank=1, alpha=-1),
        r"x\[2, 0, 1, 5\] = inf is not finite": lambda: methods.standard_retraining(base, nan),
        "n must be at most the 1200 samples": lambda: few_shot(noise("few"), suite.new, 1201),
        "n must be a whole number of at least 1, got 0: a task without samples": lambda: few_shot(
            noise("f"), suite.new, 0
        ),
        "tasks must be a whole number of at least 1": lambda: conflicting(noise("t"), tasks=0),
        "classes must be a whole number of at least 2": lambda: init_mlp(noise("n"), [64, 1]),
        "samples must be": lambda: methods.standard_retraining(base, TaskSet(tasks.x, tasks.labels, 0 * tasks.weight)),
        "the first axis is the batch": lambda: methods.standard_retraining(
            base, TaskSet(tasks.x[:2], tasks.labels, tasks.weight)
        ),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_what_diverges_names_the_sample():
    tasks, base = short(conflicting(noise("tasks"), tasks=1)), init_mlp(noise("net"), SIZES)
    wild = MLP([W * torch.tensor([1.0, 1e200, 1]).view(3, 1, 1, 1) for W in base.weights], base.biases)
    with pytest.raises(NumericalError, match="training diverged in sample 1 of the batch"):
        methods.standard_retraining(wild, tasks, epochs=1)
