"""Real series and the metrics of sampled ones."""

from __future__ import annotations

import functools
import importlib.util
import math

import pytest
import torch
from neural_models import written_day

from bandits.errors import BadParameter, UsageError
from bandits.neural import series_metrics
from bandits.neural.constraints import mean, ohlc
from bandits.neural.errors import ShapeError
from bandits.neural.projection import Constraints
from bandits.neural.series import SERIES, load_series


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.usefixtures("days_of_power")
def test_windows_are_scaled_on_the_training_part_and_keep_the_natural_constraints(name):
    series = load_series(name)
    constraints = Constraints(series.shape, series.natural)
    for part in (series.train, series.validation, series.test):
        assert part.shape[1:] == (24, len(series.channels))
        assert len(part) >= 8
        assert constraints.largest_violation(part).max() < 1e-12
    moments = (0, 1, 2) if series.natural else (0, 1)
    assert series.train.mean(moments).abs().max() < 1e-9
    assert (series.train.std(moments) - 1).abs().max() < 1e-9
    if name != "power_demand":  # whose days are each standardised already
        assert (series.test.std(moments) - 1).abs().max() > 1e-4, "fitted on the test part"


def test_prices_are_logarithms_relative_to_the_first_close():
    series = load_series("stocks")
    windows = series.scaler.restored(series.train)
    assert windows[:, 0, 3].abs().max() < 1e-12
    opening, close = 0.861608, 0.852680  # 1996-12-12
    assert windows[0, 0, 0].item() == pytest.approx(math.log(opening / close), abs=1e-12)
    assert Constraints((24, 4), [ohlc((24, 4))]).largest_violation(windows).max() < 1e-12


def test_parts_lie_a_window_apart_in_time(monkeypatch):
    """Rows that say their own number show which moments each part holds."""
    from bandits.neural import series as module

    source = module._SOURCES["water_flow"]
    rows = torch.arange(1000, dtype=torch.float64).reshape(-1, 1).numpy()
    times = rows[:, 0].astype("int64").copy()
    times[300:] += 5  # a gap in time
    monkeypatch.setitem(module._SOURCES, "water_flow", module._Source(source.channels, lambda: (rows, times)))
    series = module.load_series("water_flow", 10)
    train, validation, test = (
        series.scaler.restored(part).round() for part in (series.train, series.validation, series.test)
    )
    assert (train.min(), train.max()) == (0, 599)
    assert (validation.min(), test.min()) == (610, 760)
    assert validation.max() <= 749
    assert (torch.diff(train, dim=1) == 1).all()
    assert not ((train[:, 0] < 300) & (train[:, -1] >= 300)).any(), "a window spans the gap"


@pytest.mark.usefixtures("days_of_power")
def test_days_of_power_demand_are_read_in_the_order_of_the_file():
    series = load_series("power_demand")
    assert series.shape == (24, 1)
    days = series.scaler.restored(torch.cat([series.train, series.validation, series.test]))[..., 0]
    assert len(days) == 1096 - 2 - 1, "a day between parts, and the one that a boundary cuts"
    torch.testing.assert_close(days[0], written_day(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(days[-1], written_day(1095), rtol=0, atol=1e-5)


def test_weeks_without_a_measurement_of_carbon_dioxide_are_gaps():
    from bandits.neural.series import _read_co2

    rows, weeks = _read_co2()
    assert len(rows) == 2225
    assert weeks[-1] + 1 == 2284
    assert rows[0, 0] == 316.1
    windows = load_series("co2").scaler.restored(load_series("co2").train)
    assert windows[:, 0].abs().max() < 1e-12
    assert 0.001 < windows[..., 0].max(1).values.median() < 0.03, "a year's swing is some 6 in 330"


def test_the_sea_is_warmest_in_march():
    windows = load_series("el_nino", 12)
    months = windows.scaler.restored(windows.train)[::12, :, 0].mean(0)
    assert months.argmax() in (1, 2)
    assert months.argmin() in (7, 8)


def test_days_of_temperatures_begin_at_midnight_and_the_short_day_is_left_out():
    series = load_series("temperatures")
    assert series.train.shape[0] == 218, "365 days * 0.6 without 14 March"
    coldest = series.train[..., 0].mean(0).argmin().item()
    assert 3 <= coldest <= 8, "the early morning"


def test_what_is_not_there_is_said(monkeypatch):
    with pytest.raises(BadParameter, match="Did you mean 'stocks'"):
        load_series("stokcs")
    with pytest.raises(BadParameter, match="must have 24 moments"):
        load_series("temperatures", 12)
    with pytest.raises(BadParameter, match="no two windows"):
        load_series("stocks", 400)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'bandits\[neural\]'"):
        load_series("stocks")
    with pytest.raises(UsageError, match=r"sktime: pip install --no-deps sktime"):
        load_series("power_demand")


def test_a_file_of_power_demand_that_is_cut_short_is_refused(days_of_power):
    file = days_of_power / "ItalyPowerDemand_TEST.ts"
    file.write_text(file.read_text()[:-200])
    with pytest.raises(UsageError, match=r"holds 1095 days: expected 1096|of 24 hours each"):
        load_series("power_demand")


def slow_dtw(x, y):
    @functools.cache
    def best(i, j):
        if i < 0 or j < 0:
            return 0.0 if i == j == -1 else math.inf
        return math.dist(x[i], y[j]) + min(best(i - 1, j), best(i, j - 1), best(i - 1, j - 1))

    return best(len(x) - 1, len(y) - 1)


def test_time_warping_equals_the_recursion():
    a = torch.randn(3, 7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    b = torch.randn(3, 9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = [slow_dtw(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)]
    assert series_metrics.dtw(a, b).tolist() == pytest.approx(expected, rel=1e-12)


def test_time_warping_forgives_a_shift():
    late = torch.tensor([0.0, 0, 0, 1, 2, 0]).reshape(1, -1, 1)
    early = torch.tensor([0.0, 1, 2, 2, 0, 0]).reshape(1, -1, 1)
    assert series_metrics.dtw(late, early).item() == 0
    assert series_metrics.dtw(late, late + 1).item() == pytest.approx(
        5
    )  # three first zeros, the peak and the end pay 1 each
    with pytest.raises(ShapeError):
        series_metrics.dtw(late, early[0])


def test_spreads_by_hand():
    x = torch.tensor([[[1.0, 0], [2, 1], [5, 1]]])
    assert series_metrics.mean_spread(x, 0, 1).tolist() == [2]
    torch.testing.assert_close(series_metrics.change_sd(x), torch.tensor([[2**0.5, 0.5**0.5]]))


def test_the_rate_of_violations_counts_constraints():
    constraints = Constraints((3, 4), [ohlc((3, 4)), mean((3, 4), 0.0, 0)])
    x = torch.zeros(2, 3, 4)
    x[1, 0, 2] = 1.0  # low above open, high... and close of one bar: two rows of 13
    assert series_metrics.violation_rate(constraints, x).tolist() == [0, 2 / 13]
    assert series_metrics.violation_rate(Constraints((3, 4), []), x).tolist() == [0, 0]


def test_the_frechet_distance_of_gaussians_in_closed_form():
    x = torch.randn(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cov = torch.cov(x.T)
    assert series_metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert series_metrics.frechet_distance(x, x + 2) == pytest.approx(12, rel=1e-9)
    assert series_metrics.frechet_distance(x, 3 * x - 2 * x.mean(0)) == pytest.approx(4 * cov.trace().item(), rel=1e-9)


def test_features_tell_rough_from_smooth():
    smooth = torch.linspace(-1, 1, 24).reshape(1, 24, 1)
    rough = smooth * torch.tensor([1.0, -1]).repeat(12).reshape(1, 24, 1)
    features = series_metrics.series_features(torch.cat([smooth, rough]))
    assert features.shape == (2, 5)
    assert features[0, 4] > 0.8
    assert features[1, 4] < -0.8
    torch.testing.assert_close(features[0, 2], torch.tensor(2 / 23))
