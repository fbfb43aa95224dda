"""The classifier that judges restored digits: how good it is, and what the judgement is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.inverse_problems import EXPERIMENT as ALL_METHODS
from bandits.experiments.diffusion.restoration_trials import RestoreDigits

from bandits.neural.batch import Batch
from bandits.neural.data import load_digits
from bandits.neural.image_metrics import classifier_agreement
from bandits.neural.recipes import trained


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BANDITS_CACHE", str(tmp_path_factory.getbasetemp() / "digits"))
        yield trained("digit_classifier")


def test_it_knows_at_least_95_of_100_held_out_digits(classifier):
    digits = load_digits()
    for part in ("validation", "test"):
        images, labels = getattr(digits, part), getattr(digits, f"{part}_labels")
        right = np.asarray(classifier.model(images).argmax(1)) == np.asarray(labels)
        assert right.mean() >= 0.95
    (error, most) = classifier.facts["gates"]["error_rate"]
    assert (round(200 * error), most) == (200 - right.sum(), 0.05)


def test_it_does_not_see_what_an_image_does_not_show(classifier):
    digits = load_digits()
    shuffled = digits.test.flatten(1)[:, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    guesses = classifier_agreement(classifier.model, shuffled.reshape(digits.test.shape), digits.test_labels)
    assert float(guesses.mean()) < 0.4


def test_agreement_is_one_where_the_largest_logit_is_the_labels():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
    found = classifier_agreement(lambda x: x, logits, torch.tensor([1, 1, 2]))
    assert (found.tolist(), found.dtype) == ([1.0, 0.0, 1.0], torch.float64)


def test_a_trial_logs_the_agreement_of_each_image_beside_that_of_the_true_ones(
    classifier, monkeypatch, tmp_path_factory
):
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path_factory.getbasetemp() / "digits"))
    digits, replications = load_digits(), range(190, 230)
    images = [r % 200 for r in replications]
    truth = classifier_agreement(classifier.model, digits.test[images], digits.test_labels[images])
    found = {}
    for method in ("codec_ceiling", "zero_fill"):
        batch = Batch(1, replications, torch.device("cpu"))
        RestoreDigits(method=method, operator="box", training=0.05).run(batch)
        found[method] = {metric: values for _, metric, values in batch.rows}
        assert set(found[method]["classifier_agreement"]) <= {0.0, 1.0}
    assert found["codec_ceiling"]["truth_agreement"].tolist() == truth.tolist()
    ceiling, zeros = (found[method]["classifier_agreement"].mean() for method in ("codec_ceiling", "zero_fill"))
    assert truth.mean() > 0.9 > zeros + 0.1
    assert truth.mean() >= ceiling > zeros


def test_every_digit_trial_is_judged_by_one_classifier_fully_trained():
    needed = [need for cell in ALL_METHODS.smoked().cells() for need in cell.trainings if "classifier" in need.label]
    digits = [cell for cell in ALL_METHODS.smoked().cells() if cell.trial.name == "restore_digits"]
    assert len(needed) == len(digits) > 10
    assert {need.label for need in needed} == {"train digit_classifier(seed=0)"}
