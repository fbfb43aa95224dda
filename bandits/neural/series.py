"""Real series that come inside installed packages, cut into windows, split by time and scaled.

    name            channels                        from                                      natural constraint
    stocks          open, high, low, close          river: AAPL, daily, 1996-2004             low <= open, close <= high
    temperatures    Seattle, San Francisco          vega_datasets: hourly, 2010               none
    weather         lowest, highest of a day        vega_datasets: Seattle, 2012-2015         lowest <= highest
    water_flow      litres per second               river: hourly, spring 2022                none
    stock_returns   ten stocks                      river: daily, 2013-2018                   none
    co2             carbon dioxide on Mauna Loa     statsmodels: weekly, 1958-2001            none
    el_nino         sea surface, degrees Celsius    statsmodels: monthly, 1950-2010           none
    power_demand    Italy, standardised by the day  sktime: hourly, 1096 days                 none

Prices and carbon dioxide become logarithms relative to the first (closing) value of their window. A window never spans
a gap in time, and a window of temperatures or of power demand is a calendar day (the day that summer time begins is
left out of the temperatures, having 23 hours). The file of power demand does not date its days: its parts are taken in
the file's order, and may interleave in time. sktime holds pandas back, so that it is no part of the extra ``neural``:
``pip install --no-deps sktime`` brings the file. The yearly, quarterly and shorter series of statsmodels (sunspots,
macroeconomy, Nile) have no two windows of 24 moments for each part.

The oldest 60 % of the time are for training, then 15 % for choices, then 25 % for tests, with a gap of one window's
length before each; windows of one part overlap (days do not), so that they are not independent. The scaler is fitted
on training windows; channels that a constraint compares share one scale. Of the one year of temperatures, training
sees January to early August.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import BadParameter, UsageError, did_you_mean
from ..protocol import FloatArray, IntArray
from .constraints import Member, ohlc, ordered
from .recipe_settings import SERIES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SERIES", "RealSeries", "Scaler", "load_series"]

_TRAIN, _TRAIN_AND_VALIDATION = 0.60, 0.75


@dataclass(frozen=True)
class Scaler:
    """``(x - shift) / scale`` for windows (..., C)."""

    shift: Tensor  # (C,)
    scale: Tensor

    @classmethod
    def fit(cls, windows: Tensor, common: bool) -> Scaler:
        """Mean and standard deviation of windows (N, L, C), of each channel or of all in common."""
        axes = (0, 1, 2) if common else (0, 1)
        shift, scale = windows.mean(axes), windows.std(axes)
        return cls(shift.expand(windows.shape[-1]), scale.expand(windows.shape[-1]))

    def scaled(self, x: Tensor) -> Tensor:
        """Windows in units of the scaler."""
        return (x - self.shift.to(x)) / self.scale.to(x)

    def restored(self, x: Tensor) -> Tensor:
        """Windows in their own units."""
        return x * self.scale.to(x) + self.shift.to(x)


@dataclass(frozen=True)
class RealSeries:
    """Scaled windows, each (N, L, C) in float64, oldest first.

    Attributes:
        name: Name of the series.
        channels: Name of each channel.
        train: Windows to learn from.
        validation: Later windows, to choose parameters by.
        test: The latest windows.
        scaler: Leads back to the units of the windows.
        natural: Constraints that hold for every series of this kind, in scaled units.
    """

    name: str
    channels: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    scaler: Scaler
    natural: tuple[Member, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (L, C) of a window."""
        return self.train.shape[1], self.train.shape[2]


@dataclass(frozen=True)
class _Source:
    channels: tuple[str, ...]
    read: Callable[[], tuple[FloatArray, IntArray]]  # rows (N, C), and how many steps of time each is after the first
    daily: bool = False  # whether windows are calendar days; others begin at every moment
    relative_to: int | None = None  # channel whose first value prices are relative to
    natural: Callable[[tuple[int, int]], list[Member]] | None = None


def load_series(name: str, length: int = 24) -> RealSeries:
    """Read, cut, split and scale a series.

    Args:
        name: One of `SERIES`.
        length: Moments of a window; 24 for ``temperatures``.

    Raises:
        UsageError: The package that brings the series is not installed, or holds another file than expected.
        BadParameter: No series of that name, or not enough windows of that length.
    """
    if name not in _SOURCES:
        raise BadParameter(f"no series is called '{name}'.{did_you_mean(name, _SOURCES)} There are {', '.join(SERIES)}")
    source = _SOURCES[name]
    if length < 2 or (source.daily and length != 24):
        raise BadParameter(f"windows of {name} must have {'24' if source.daily else 'at least 2'} moments")
    rows, times = source.read()
    if not np.isfinite(rows).all():
        raise UsageError(f"the file of {name} holds NaN or infinity: another version of its package is installed")
    a, b = int(_TRAIN * len(rows)), int(_TRAIN_AND_VALIDATION * len(rows))
    dense, sparse = (length, length) if source.daily else (1, max(1, length // 4))
    parts = []
    for begin, end, stride in ((0, a, dense), (a + length, b, sparse), (b + length, len(rows), sparse)):
        parts.append(_windows(rows, times, begin, end, length, stride, source))
    if any(len(part) < 2 for part in parts):
        raise BadParameter(f"{name} has no two windows of {length} moments for each of training, choices and tests")
    scaler = Scaler.fit(parts[0], common=source.natural is not None)
    train, validation, test = (scaler.scaled(part) for part in parts)
    natural = tuple(source.natural((length, len(source.channels)))) if source.natural else ()
    return RealSeries(name, source.channels, train, validation, test, scaler, natural)


def _windows(
    rows: FloatArray, times: IntArray, begin: int, end: int, length: int, stride: int, source: _Source
) -> Tensor:
    """Windows of rows ``begin`` to ``end`` without a gap in time: (N, length, C)."""
    cut = []
    i = begin
    while i + length <= end:
        whole = times[i + length - 1] - times[i] == length - 1
        if whole and (not source.daily or times[i] % length == 0):
            cut.append(rows[i : i + length])
            i += stride
        else:
            i += 1
    windows = np.array(cut).reshape(-1, length, rows.shape[1])
    if source.relative_to is not None:
        windows = np.log(windows / windows[:, :1, source.relative_to, None])
    return torch.from_numpy(windows)


def _file(package: str, path: str, remedy: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"this series comes with the package {package}: {remedy}")
    file = Path(next(iter(spec.submodule_search_locations))) / path
    if not file.is_file():
        raise UsageError(f"{package} brings no {path}: another version than expected is installed")
    return file


def _table(package: str, path: str, columns: list[str], rows: int) -> pd.DataFrame:
    """Read a table from the files of an installed package."""
    import pandas as pd

    file = _file(package, path, "pip install 'bandits[neural]'")
    table = pd.read_csv(file)
    missing = [column for column in columns if column not in table]
    if missing or len(table) < rows:
        raise UsageError(f"{file} has {len(table)} rows and lacks {missing}: expected {rows} rows with {columns}")
    return table


def _read_stocks() -> tuple[FloatArray, IntArray]:
    columns = ["Open", "High", "Low", "Close"]
    bars = _table("river", "drift/datasets/apple.csv", columns, 1867)[columns].to_numpy(float)
    o, h, low, c = bars.T
    broken = int(((low > np.minimum(o, c)) | (h < np.maximum(o, c))).sum())
    if broken:
        raise UsageError(f"{broken} bars of the stock prices break low <= open, close <= high: the file is damaged")
    return bars, np.arange(len(bars))


def _read_temperatures() -> tuple[FloatArray, IntArray]:
    import pandas as pd

    tables = [_table("vega_datasets", f"_data/{city}-temps.csv", ["date", "temp"], 8759) for city in ("seattle", "sf")]
    dates, other = (pd.to_datetime(table["date"], format="mixed") for table in tables)
    if not (dates.to_numpy() == other.to_numpy()).all():
        raise UsageError("the temperatures of the two cities are not of the same hours: the files are damaged")
    return np.stack([table["temp"].to_numpy(float) for table in tables], 1), _hours(dates)


def _read_weather() -> tuple[FloatArray, IntArray]:
    columns = ["temp_min", "temp_max"]
    days = _table("vega_datasets", "_data/seattle-weather.csv", columns, 1461)[columns].to_numpy(float)
    if (days[:, 0] > days[:, 1]).any():
        raise UsageError("a lowest temperature lies above the highest of its day: the file is damaged")
    return days, np.arange(len(days))


def _read_water_flow() -> tuple[FloatArray, IntArray]:
    import pandas as pd

    table = _table("river", "datasets/water-flow.csv", ["Time", "Water flow [l/s]"], 1268)
    return table[["Water flow [l/s]"]].to_numpy(float), _hours(pd.to_datetime(table["Time"], utc=True))


def _read_stock_returns() -> tuple[FloatArray, IntArray]:
    returns = _table("river", "datasets/sp500.csv.gz", list(_STOCKS), 1257)[list(_STOCKS)].to_numpy(float)
    return returns, np.arange(len(returns))


def _read_co2() -> tuple[FloatArray, IntArray]:
    import pandas as pd

    table = _table("statsmodels", "datasets/co2/co2.csv", ["date", "co2"], 2284).dropna()
    days = _hours(pd.to_datetime(table["date"].astype(str), format="%Y%m%d")) // 24
    return table[["co2"]].to_numpy(float), days // 7


def _read_el_nino() -> tuple[FloatArray, IntArray]:
    months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    table = _table("statsmodels", "datasets/elnino/elnino.csv", ["YEAR", *months], 61)
    if (table["YEAR"].diff().iloc[1:] != 1).any():
        raise UsageError("the years of the sea's temperatures do not follow one another: the file is damaged")
    rows = table[months].to_numpy(float).reshape(-1, 1)
    return rows, np.arange(len(rows))


def _read_power_demand() -> tuple[FloatArray, IntArray]:
    days = []
    for part in ("TRAIN", "TEST"):
        path = f"datasets/data/ItalyPowerDemand/ItalyPowerDemand_{part}.ts"
        lines = _file("sktime", path, "pip install --no-deps sktime").read_text().splitlines()
        days += [line.rpartition(":")[0].split(",") for line in lines if line[:1] not in ("#", "@", "")]
    if len(days) < 1096 or any(len(day) != 24 for day in days):
        raise UsageError(f"the file of power demand holds {len(days)} days: expected 1096 of 24 hours each")
    rows = np.array(days, dtype=float).reshape(-1, 1)
    return rows, np.arange(len(rows))


def _hours(dates: pd.Series[pd.Timestamp]) -> IntArray:
    """Whole hours since the first row."""
    hours: IntArray = ((dates - dates.iloc[0]).dt.total_seconds() / 3600).to_numpy().round().astype(np.int64)
    return hours


_STOCKS = ("AAPL", "AMZN", "IBM", "INTC", "JNJ", "JPM", "KO", "MSFT", "WMT", "XOM")
_SOURCES = {
    "stocks": _Source(
        ("open", "high", "low", "close"), _read_stocks, relative_to=3, natural=lambda shape: [ohlc(shape)]
    ),
    "temperatures": _Source(("Seattle", "San Francisco"), _read_temperatures, daily=True),
    "weather": _Source(("lowest", "highest"), _read_weather, natural=lambda shape: [ordered(shape, 0, 1)]),
    "water_flow": _Source(("flow",), _read_water_flow),
    "stock_returns": _Source(_STOCKS, _read_stock_returns),
    "co2": _Source(("carbon dioxide",), _read_co2, relative_to=0),
    "el_nino": _Source(("temperature",), _read_el_nino),
    "power_demand": _Source(("demand",), _read_power_demand, daily=True),
}
