"""Conformance tests: the built-in catalogs pass them, and each rule that is broken fails them."""

import datetime as dt
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mg_assets import factors
from mg_assets.factors import factor
from mg_assets.factors.registry import PASSPORTS
from mg_assets.sources import DailySource
from mg_assets.sources.mapped.source import MappedSource
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.testing import check_factor, check_model, check_portfolio, check_source
from mg_models.catalog import CATALOG, InputSpec
from mg_portfolio.catalog import PORTFOLIOS

KERNELS = {
    "minute": lambda minute_bars: factors.minute_factors(minute_bars),
    "trade": lambda trades: factors.trade_factors(trades),
    "order": lambda orders: factors.order_factors(orders),
}


@pytest.mark.parametrize("family", list(KERNELS))
def test_built_in_factors_obey_the_rules(family):
    """The family's factors together: a mean over them changes where one of them does."""
    names = [spec.name for spec in PASSPORTS.values() if spec.family == family]
    table = {"minute": "minute_bars", "trade": "trades", "order": "orders"}[family]
    source = f"lambda {table}: values({table})"
    together = eval(source, {"values": lambda frame: KERNELS[family](frame)[names].mean(axis=1)})
    check_factor(factor(name=f"all_of_{family}")(together), days=2)


LAST: dict[str, float] = {}
RANDOM = np.random.default_rng(0)


def volume(minute_bars):
    return minute_bars.groupby("symbol")["volume"].sum().astype(float)


def early(minute_bars):
    return volume(minute_bars[minute_bars["minute"] < 30])


def later(minute_bars):
    return volume(minute_bars[minute_bars["minute"] < 60])


def by_order(minute_bars):
    return volume(minute_bars) * (minute_bars["symbol"].iloc[0] == minute_bars["symbol"].min())


def kept(minute_bars):
    now = volume(minute_bars)
    out = now - now.index.map(lambda s: LAST.get(s, 0.0))
    LAST.update(now)
    return out


def at_random(minute_bars):
    return volume(minute_bars) * RANDOM.random()


def of_nothing(minute_bars):
    return pd.Series(1.0, minute_bars["symbol"].unique())


def undeclared(minute_bars):
    return minute_bars.groupby("symbol")["close"].last()


def nothing(minute_bars):
    return {}


COLUMNS = {"columns": {"minute_bars": ("minute", "volume", "amount")}}


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (later, {"known_at": "10:00"}, r"no look-ahead is broken: .* with other rows from 10:00 on"),
        (by_order, {}, "permutation of stocks is broken: .* with stocks in another order"),
        (kept, {}, "equal frames give equal values is broken: .* a second time"),
        (at_random, {}, "equal frames give equal values is broken"),
        (of_nothing, {}, "restatement noticed is broken: other numbers in minute_bars leave every value as it is"),
        (undeclared, {}, "KeyError: 'Column not found: close'"),
        (nothing, {}, "has no value on any of 20"),
    ],
)
def test_a_factor_that_breaks_a_rule_fails(function, options, message):
    with pytest.raises(AssertionError, match=f"^factor {function.__name__} .*{message}") as error:
        check_factor(factor(**COLUMNS, **options)(function), days=2)
    assert "\n" not in str(error.value)


def test_a_factor_known_at_a_time_passes():
    assert "no look-ahead" in check_factor(factor(**COLUMNS, known_at="10:00")(early), days=2)


def test_a_factor_is_checked_on_data_of_ones_own():
    days = pd.to_datetime(["2023-02-01", "2023-02-02", "2023-02-03"])
    rows = pd.DataFrame(
        [(d, s, m, 10.0, 10.0, 10.0, 10.0, 100 * (m + 1) * (d.day + len(s)), 1e5, 3) for d in days for s in
         ("600000.SH", "000001.SZ") for m in range(240)],
        columns=["date", "symbol", "minute", "open", "high", "low", "close", "volume", "amount", "num_trades"],
    )  # fmt: skip
    check_factor(factor(**COLUMNS)(volume), data={"minute_bars": rows})
    with pytest.raises(AssertionError, match="the data have 1 days of minute_bars; 2 are needed"):
        check_factor(factor(**COLUMNS)(volume), data={"minute_bars": rows[rows["date"] == days[0]]})


@pytest.mark.parametrize("name", ["hf_gru", "lstm"])
def test_built_in_models_obey_the_rules(name):
    check_model(CATALOG[name])


BROKEN_MODEL = """
from dataclasses import dataclass

import torch
from torch import nn

import mg_models
from mg_models import InputSpec, ModelSpec, SquaredErrorSpec


@dataclass(frozen=True)
class BrokenSpec:
    hidden: int = 4


@mg_models.network(BrokenSpec)
class Broken(nn.Module):
    def __init__(self, spec, features, heads):
        super().__init__()
        self.panel, width = next(iter(features.items()))
        self.layer, self.calls = nn.Linear(width, heads), 0

    def forward(self, windows, day=None):
        x = windows[self.panel]
        self.calls += 1
        return {forward}


broken = ModelSpec("broken", (InputSpec("hf", 5),), BrokenSpec(), SquaredErrorSpec())
"""


@pytest.mark.parametrize(
    ("number", "forward", "message"),
    [
        (1, "self.layer(x[-1] - x[-1].mean(dim=0))", "days and stocks by themselves is broken: .* rows of another day"),
        (2, "self.layer(x[-1]) + 0.1 * torch.arange(x.shape[1])[:, None]", "permutation of stocks is broken"),
        (3, "self.layer(x[-1]) + 0.1 * self.calls", "equal windows give equal predictions is broken"),
        (4, "self.layer(x[-1]) / 0", "finite predictions is broken"),
        (5, "self.layer(x[-1]).sum()", r"32 rows gave predictions of shape \(\); \(rows, 1\) was expected"),
        (7, "self.layer(x[-1]).repeat(1, 2)", r"32 rows gave predictions of shape \(32, 2\); \(rows, 1\) was expected"),
        (6, "self.layer(x[-1, :, :3])", r"own_broken_6\.py, line \d+: RuntimeError: mat1 and mat2 shapes"),
    ],
)
def test_a_model_that_breaks_a_rule_fails(tmp_path, monkeypatch, number, forward, message):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / f"own_broken_{number}.py"
    path.write_text(BROKEN_MODEL.replace("{forward}", forward))
    with pytest.raises(AssertionError, match=f"^model broken: .*{message}") as error:
        check_model(path)
    assert "\n" not in str(error.value)


def test_a_model_of_an_unknown_input_fails():
    typo = replace(CATALOG["hf_gru"], inputs=(InputSpec("daly_factors", 5),))
    with pytest.raises(AssertionError, match=r"reads the input 'daly_factors', .* did you mean daily_factors\?"):
        check_model(typo)


def csv_folder(folder, days=("2023-02-01", "2023-02-02", "2023-02-03")):
    for number, day in enumerate(days):
        rows = [
            f"{day},{s},{p},{p + 1},{p - 1},{p},{1000 + 100 * number}"
            for s, p in (("600000.SH", 10), ("000001.SZ", 20))
        ]
        (folder / f"{day}.csv").write_text("\n".join(["date,symbol,open,high,low,close,volume", *rows]) + "\n")
    return {"root": str(folder)}


class Vendor(DailySource):
    kind = "vendor_of_this_test"
    made = 0

    def __init__(self, root: str):
        from pathlib import Path

        self.root = Path(root)

    def bars(self):
        return pd.concat([pd.read_csv(p) for p in sorted(self.root.glob("*.csv"))])

    def daily(self):
        return self.bars()


class Adjusted(Vendor):
    """Look-ahead: adjusted to the last price."""

    def daily(self):
        bars = self.bars()
        return bars.assign(amount=bars.groupby("symbol")["volume"].transform("last") * bars["close"])


class Ordered(Vendor):
    def daily(self):
        return self.bars().assign(num_trades=lambda bars: np.arange(len(bars)))


class Counting(Vendor):
    def daily(self):
        type(self).made += 1
        return self.bars().assign(num_trades=self.made)


class Unnoticed(Vendor):
    def fingerprint(self, table, day):
        return "always"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Adjusted, "no look-ahead is broken: .* without the files and lines of later days"),
        (Ordered, "permutation of rows is broken: .* with the lines in another order"),
        (Counting, "pickling is broken: .* of its pickled copy"),
        (Unnoticed, "restatement noticed is broken: the fingerprint of .* is the same with other numbers"),
    ],
)
def test_a_source_that_breaks_a_rule_fails(tmp_path, kind, message):
    options = csv_folder(tmp_path)
    assert len(check_source(Vendor, options)) == 6
    with pytest.raises(AssertionError, match=f"^source 'vendor_of_this_test': .*{message}"):
        check_source(kind, options)


def test_built_in_sources_obey_the_rules(tmp_path):
    start = dt.date(2023, 2, 1)
    market = SimulationSettings(
        stocks=24, start=start, end=dt.date(2023, 2, 10), tick_start=dt.date(2023, 2, 10), orders_per_stock=40
    )
    check_source(SimulatedExchange(market), days=2)
    mapping = tmp_path / "mapping.yaml"
    columns = ", ".join(f"{c}: {c}" for c in ("date", "symbol", "open", "high", "low", "close", "volume"))
    mapping.write_text(f"name: own\ndaily:\n  files: '*.csv'\n  columns: {{{columns}}}\n")
    (tmp_path / "files").mkdir()
    assert len(check_source(MappedSource, {"config": str(mapping)} | csv_folder(tmp_path / "files"))) == 6


def test_portfolios_obey_the_rules_or_fail(tmp_path):
    check_portfolio(PORTFOLIOS["csi500_turnover30"])
    path = tmp_path / "s.yaml"
    path.write_text("portfolios: {mine: {like: csi500_turnover30, stock_limits: 0.01}}\n")
    with pytest.raises(AssertionError, match="stock_limits is unknown; did you mean"):
        check_portfolio(path)
    path.write_text(
        "portfolios: {mine: {like: csi500_turnover30, member_floor: 1.0, industry_limit: 0.0, turnover: 1.0e-6}}\n"
    )
    with pytest.raises(AssertionError, match=r"portfolio mine: (restatement noticed|weights) is broken"):
        check_portfolio(path)
