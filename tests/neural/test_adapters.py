"""Adapters for many tasks on one model: our own layer, and peft's on a tiny Roberta."""

from __future__ import annotations

import copy

import pytest
import torch
from bandits.experiments.peft.retraining import retrain, retrain_step
from torch import nn

from bandits.neural.adapters import MultiAdapterLinear, activate, drop, merge, wrap
from bandits.neural.errors import AdapterError, NumericalError, RangeError, ShapeError
from bandits.neural.noise import Noise
from bandits.neural.peft_adapters import fresh_adapter, trainable, with_adapters

TARGETS = ["query", "value"]


@pytest.fixture
def roberta():
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RobertaForSequenceClassification(config).eval()


class Ours:
    """The native layers."""

    def wrap(self, model, **settings):
        wrap(model, TARGETS, tasks=["t0", "t1"], rank=4, noise=Noise(0, [0]), **settings)
        return model

    def activate(self, model):
        return lambda task: activate(model, task)

    def merged(self, model):
        merge(model)
        return model

    def factors(self, model, task):
        return [p for name, p in model.named_parameters() if name.endswith((f".A.{task}", f".B.{task}"))]


class Peft:
    """The library."""

    def wrap(self, model, **settings):
        return with_adapters(model, TARGETS, tasks=["t0", "t1"], rank=4, **settings)

    def activate(self, model):
        return model.set_adapter

    def merged(self, model):
        return model.merge_and_unload()

    def factors(self, model, task):
        return [p for name, p in model.named_parameters() if f".{task}." in name]


both = pytest.mark.parametrize("way", [Ours(), Peft()], ids=["ours", "peft"])


def tokens(seed):
    return torch.randint(3, 100, (4, 12), generator=torch.Generator().manual_seed(seed))


def loss_of(model, seed):
    return lambda: model(input_ids=tokens(seed), labels=torch.tensor([0, 1, 0, 1])).loss


@both
def test_parameters_are_counted_as_published(way, roberta):
    assert sum(p.numel() for p in roberta.parameters()) == 23_586
    model = way.wrap(roberta)
    for task in ("t0", "t1"):
        way.activate(model)(task)
        assert sum(p.numel() for p in way.factors(model, task)) == 1024
        assert trainable(model) == 24_610


@both
def test_outputs_are_unchanged_by_wrapping(way, roberta):
    before = roberta(input_ids=tokens(1)).logits
    model = way.wrap(roberta)
    assert torch.equal(model(input_ids=tokens(1)).logits, before)


@both
def test_steps_on_one_task_leave_the_other_tasks_factors_alone(way, roberta):
    model = way.wrap(roberta)
    way.activate(model)("t1")
    way.activate(model)("t0")
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        loss_of(model, 1)().backward()
        optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("t1" in name for name in moved)
    assert sum("t0" in name for name in moved) == 8
    assert any("word_embeddings" in name for name in moved)


def test_a_gradient_left_over_does_not_move_an_adapter_that_is_no_longer_active():
    model = nn.Sequential(nn.Linear(3, 2))
    wrap(model, ["0"], tasks=["t0", "t1"], rank=1, noise=Noise(0, [0]))
    activate(model, "t1")
    model(torch.ones(1, 3)).sum().backward()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    activate(model, "t0")
    optimiser.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"0.base.weight", "0.base.bias"}


@both
def test_the_bases_gradient_of_a_step_is_the_sum_over_tasks(way, roberta):
    model = way.wrap(roberta)
    weight = next(p for name, p in model.named_parameters() if name.endswith("word_embeddings.weight"))
    alone = {}
    for task, seed in (("t0", 1), ("t1", 2)):
        way.activate(model)(task)
        model.zero_grad()
        loss_of(model, seed)().backward()
        alone[task] = [weight.grad.clone(), *(p.grad.clone() for p in way.factors(model, task))]
    seen = {}

    class Look(torch.optim.SGD):
        def step(self):
            seen["weight"] = weight.grad.clone()
            seen.update({task: [p.grad.clone() for p in way.factors(model, task)] for task in alone})

    losses = {"t0": loss_of(model, 1), "t1": loss_of(model, 2)}
    model.zero_grad()
    retrain_step(way.activate(model), losses, Look(model.parameters(), lr=0.1))
    assert (seen["weight"] - alone["t0"][0] - alone["t1"][0]).abs().max() < 1e-6
    for task in alone:  # each adapter has the gradient of its own task alone
        for mine, expected in zip(seen[task], alone[task][1:], strict=True):
            assert torch.allclose(mine, expected, atol=1e-7)


@both
@pytest.mark.parametrize("accumulate", [True, False])
def test_a_step_trains_the_base_and_every_tasks_adapter(way, accumulate, roberta):
    model = way.wrap(roberta)
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    steps = [{"t0": loss_of(model, 1), "t1": loss_of(model, 2)}] * 2
    for losses in steps:
        found = retrain_step(way.activate(model), losses, optimiser, accumulate_tasks=accumulate)
    assert set(found) == {"t0", "t1"}
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert sum("t0" in name for name in moved) == sum("t1" in name for name in moved) == 8


@both
def test_merging_the_active_adapter_keeps_the_outputs(way, roberta):
    model = way.wrap(roberta, alpha=16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    retrain_step(way.activate(model), {"t1": loss_of(model, 1)}, optimiser)
    retrain_step(way.activate(model), {"t1": loss_of(model, 1)}, optimiser)
    model.eval()
    adapted = model(input_ids=tokens(1)).logits
    way.activate(model)("t0")
    assert (model(input_ids=tokens(1)).logits - adapted).abs().max() > 1e-5
    way.activate(model)("t1")
    merged = way.merged(model)
    assert (merged(input_ids=tokens(1)).logits - adapted).abs().max() < 1e-6
    assert not any("t1" in name for name, _ in merged.named_parameters())


def test_multiple_choice_models_are_wrapped_as_well():
    from transformers import RobertaConfig, RobertaForMultipleChoice

    config = RobertaConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip  # the library's settings in rows
    model = with_adapters(RobertaForMultipleChoice(config), TARGETS, tasks=["t0"], rank=2)
    assert model(input_ids=tokens(1).reshape(2, 2, 12)).logits.shape == (2, 2)


def test_after_retraining_a_fresh_adapter_and_head_learn_on_a_frozen_base(roberta):
    head = copy.deepcopy(roberta.classifier.state_dict())
    model = with_adapters(roberta, TARGETS, tasks=["t0", "t1"], rank=4, heads=["classifier"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    embeddings = roberta.roberta.embeddings.word_embeddings.weight
    before = embeddings.clone()
    retrain_step(model.set_adapter, {"t0": loss_of(model, 1), "t1": loss_of(model, 2)}, optimiser)
    kept = embeddings.clone()
    assert not torch.equal(kept, before)
    new = fresh_adapter(model, TARGETS, rank=4, heads=["classifier"])
    names = [name for name, p in new.named_parameters() if p.requires_grad]
    assert all(".new." in name for name in names)
    assert sum("lora_" in name for name in names) == 8
    for name, value in head.items():  # the tasks' heads are gone
        assert torch.equal(new.base_model.model.classifier.modules_to_save["new"].state_dict()[name], value)
    loss_of(new, 3)().backward()
    assert embeddings.grad is None
    assert torch.equal(embeddings, kept)


def test_the_epoch_of_best_validation_is_kept():
    layer = nn.Linear(2, 1, bias=False)
    wrap_me = nn.Sequential(layer)
    wrap(wrap_me, ["0"], tasks=["t0"], rank=1, noise=Noise(0, [0]))
    seen, scores = [], iter([0.5, 0.9, 0.9, 0.1])

    def validate():
        seen.append(layer.weight.detach().clone())
        return next(scores)

    optimiser = torch.optim.SGD(wrap_me.parameters(), lr=0.1)
    epochs = [[{"t0": lambda: wrap_me(torch.ones(1, 2)).sum()}]] * 4
    assert retrain(wrap_me, lambda t: activate(wrap_me, t), epochs, optimiser, validate=validate) == [
        0.5,
        0.9,
        0.9,
        0.1,
    ]
    assert torch.equal(layer.weight, seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_torchs_own_generator_is_left_as_it_was(roberta):
    state = torch.random.get_rng_state()
    with_adapters(roberta, TARGETS, tasks=["t0"], rank=4)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_layer_is_its_formula():
    layer = MultiAdapterLinear(nn.Linear(3, 2), rank=1, alpha=4)
    A, B, x = torch.tensor([[1.0, 2, 3]]), torch.tensor([[1.0], [-1]]), torch.tensor([[1.0, 0, 1]])
    layer.load("t", A, B)
    assert torch.equal(layer(x), layer.base(x))
    layer.activate("t")
    assert torch.allclose(layer(x) - layer.base(x), torch.tensor([[16.0, -16]]))


def test_dropping_gives_the_plain_model_back(roberta):
    names = [name for name, _ in roberta.named_parameters()]
    before = roberta(input_ids=tokens(1)).logits
    assert len(wrap(roberta, TARGETS, tasks=["t0"], rank=4, noise=Noise(0, [0]))) == 4
    drop(roberta)
    assert [name for name, _ in roberta.named_parameters()] == names
    assert torch.equal(roberta(input_ids=tokens(1)).logits, before)


def test_bad_input_is_refused_in_one_line_that_names_the_field(roberta):
    one = Noise(0, [0])

    def ours(targets=("query",), tasks=("t0",), rank=2, **settings):
        return lambda: wrap(roberta, targets, tasks=tasks, rank=rank, noise=one, **settings)

    def library(targets=("query",), tasks=("t0",), rank=2, **settings):
        return lambda: with_adapters(roberta, targets, tasks=tasks, rank=rank, **settings)

    for way in (ours, library):
        cases = {
            "rank must lie between 1 and 32": way(rank=0),
            "rank must lie between 1 and 32, the smaller side of a layer 32 -> 64, got 33": way(
                targets=["intermediate.dense"], rank=33
            ),
            "alpha must be a number above 0, got 0": way(alpha=0),
            "dropout must lie in \\[0, 1\\], got 1.5": way(dropout=1.5),
            "tasks is empty": way(tasks=[]),
            "tasks names 't0' twice": way(tasks=["t0", "t1", "t0"]),
            "targets: no linear layer of the model is called 'quary'": way(targets=["query", "quary"]),
            "targets is empty": way(targets=[]),
        }
        for message, call in cases.items():
            with pytest.raises(ValueError, match=message) as caught:
                call()
            assert "\n" not in str(caught.value)
            assert not any("lora" in name or ".A." in name for name, _ in roberta.named_parameters()), message
    layer = MultiAdapterLinear(nn.Linear(3, 2), rank=1)
    layer.add("t", one)
    with pytest.raises(AdapterError, match="'t' exists already"):
        layer.add("t", one)
    with pytest.raises(AdapterError, match="both zero"):
        layer.load("zero", torch.zeros(1, 3), torch.zeros(2, 1))
    with pytest.raises(ShapeError, match=r"\(1, 3\) and \(2, 1\)"):
        layer.load("wide", torch.ones(1, 2), torch.ones(2, 1))
    with pytest.raises(RangeError, match=r"A\[0, 1\] = nan"):
        layer.load("nan", torch.tensor([[0, float("nan"), 0]]), torch.ones(2, 1))
    with pytest.raises(AdapterError, match="no adapter is called 'u'; there are t"):
        layer.activate("u")
    with pytest.raises(AdapterError, match="wrap it first"):
        activate(roberta, "t0")
    with pytest.raises(NumericalError, match="the loss of task 't0' is nan"):
        retrain_step(
            lambda t: None, {"t0": lambda: torch.tensor(float("nan"))}, torch.optim.SGD([nn.Parameter(torch.ones(1))])
        )
