"""The sequential test: its error in simulated experiments, and the rule itself, worked by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bandits.errors import BadParameter
from bandits.sequential import judge, look_share, looks_up_to

LOOKS = (50, 100, 200, 400)
ALPHA = 0.05


def pairs_of(values):
    pairs = list(combinations(range(values.shape[1]), 2))
    return pairs, np.column_stack([values[:, j] - values[:, i] for i, j in pairs])


def draw(rng, law, means):
    shape = (LOOKS[-1], len(means))
    shared = rng.normal(size=(LOOKS[-1], 1))
    own = {
        "normal": lambda: rng.normal(size=shape),
        "skewed": lambda: rng.exponential(size=shape),
        "one skewed": lambda: np.where(
            np.arange(len(means)) == 0, rng.exponential(size=shape), rng.normal(1, 1, shape)
        ),
    }[law]()
    return shared + own + np.asarray(means)


@pytest.mark.parametrize("law", ["normal", "skewed", "one skewed"])
@pytest.mark.parametrize(
    ("means", "margin"),
    [((0, 0, 0, 0), 0.0), ((0, 0, 0.4, 0.4), 0.0), ((0, 0.02, 0.04, 0.06), 0.0), ((0, 0.0, 0.31, 0.62), 0.3)],
)
def test_any_wrong_claim_has_probability_at_most_alpha(law, means, margin):
    """Separating equal agents, the wrong way round, or calling equivalent what is not: 1000 experiments each."""
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(1000):
        pairs, differences = pairs_of(draw(rng, law, means))
        for (i, j), verdict in zip(pairs, judge(differences, LOOKS, ALPHA, margin), strict=True):
            truth = means[j] - means[i]
            if (verdict.state == "separated" and (truth == 0 or truth * verdict.difference < 0)) or (
                verdict.state == "equivalent" and abs(truth) > margin
            ):
                wrong += 1
                break
    assert wrong / 1000 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 1000)


def test_stopping_at_the_first_small_p_value_would_err_far_more_often():
    """What the spending is for: the same looks at 5 % each."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(1000, LOOKS[-1]))
    naive = np.zeros(1000, dtype=bool)
    for n in LOOKS:
        naive |= stats.ttest_1samp(values[:, :n], 0.0, axis=1).pvalue <= ALPHA
    assert naive.mean() > 0.09


def test_agents_that_differ_are_separated_and_early_where_they_differ_much():
    rng = np.random.default_rng(5)
    pairs, differences = pairs_of(draw(rng, "normal", (0, 0.3, 3)))
    verdicts = dict(zip(pairs, judge(differences, LOOKS, ALPHA), strict=True))
    assert {v.state for v in verdicts.values()} == {"separated"}
    assert verdicts[0, 2].look == 1
    assert verdicts[0, 1].look > 1


def test_the_shares_of_the_looks_sum_to_one():
    shares = [look_share(k) for k in range(1, 1001)]
    assert shares[:3] == pytest.approx([1 / 2, 1 / 6, 1 / 12])
    assert sum(shares) == pytest.approx(1 - 1 / 1001)


def test_thresholds_step_down_as_pairs_settle():
    """Two pairs: one clear, one with p between alpha_1 / 2 and alpha_1, which passes only once the first is out."""
    n = 50
    z = stats.norm.ppf((np.arange(n) + 0.5) / n)
    z /= z.std(ddof=1)
    close = z + stats.t.isf(0.018 / 2, n - 1) / math.sqrt(n)  # p = 0.018
    alone = judge(np.column_stack([close, z]), [n], ALPHA)
    assert [v.state for v in alone] == ["open", "open"]
    both = judge(np.column_stack([close, z + 2]), [n], ALPHA)
    assert [v.state for v in both] == ["separated", "separated"]
    assert both[0].p == pytest.approx(0.018)
    assert (both[1].threshold, both[0].threshold) == pytest.approx((ALPHA / 4, ALPHA / 2))


def test_p_values_and_intervals_are_scipys():
    differences = np.random.default_rng(1).exponential(size=(60, 1)) - 0.9
    (found,) = judge(differences, [60], 0.05)
    expected = stats.ttest_1samp(differences[:, 0], 0.0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(1 - 0.05 / 2))


def test_all_intervals_of_all_looks_hold_together():
    rng = np.random.default_rng(2)
    broken = 0
    for _ in range(600):
        differences = rng.exponential(size=(200, 3)) - 1
        broken += any(not v.low < 0 < v.high for k in (1, 2, 3) for v in judge(differences, (50, 100, 200)[:k], 0.1))
    assert broken / 600 < 0.1 + 3 * math.sqrt(0.1 * 0.9 / 600)


def test_a_settled_pair_stays_settled_and_later_replications_change_nothing():
    rng = np.random.default_rng(8)
    differences = np.concatenate([rng.normal(2, 1, (50, 1)), rng.normal(-9, 1, (350, 1))])
    early, late = judge(differences, [50])[0], judge(differences, LOOKS)[0]
    assert early == late
    assert late.look == 1


def test_equal_agents_are_called_the_same_but_not_for_good():
    differences = np.zeros((100, 1))
    assert judge(differences, [50])[0].state == "same"
    differences[70:] = 5.0 + np.arange(30)[:, None]
    assert judge(differences, [50, 100])[0].state in ("open", "separated")


def test_looks_double():
    assert looks_up_to(50, 400) == [50, 100, 200, 400]
    assert looks_up_to(50, 399) == [50, 100, 200]
    assert looks_up_to(50, 50) == [50]
    with pytest.raises(BadParameter, match="the first look comes after 50"):
        looks_up_to(50, 49)


def test_bad_designs_are_refused():
    with pytest.raises(BadParameter, match="alpha must lie"):
        judge(np.zeros((50, 1)), [50], 0.0)
    with pytest.raises(BadParameter, match="margin must not be negative"):
        judge(np.zeros((50, 1)), [50], 0.05, -1.0)
