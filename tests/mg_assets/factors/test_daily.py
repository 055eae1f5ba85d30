"""Daily and common factors against a twin in plain pandas, invariants, and real bars."""

import math

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.factors.daily import (
    BARS,
    DAILY42,
    EXPECTATION,
    FUNDAMENTALS,
    LOOK_BACK,
    SHORT_LOOK_BACK,
    VALUATION,
    DailySeries,
    daily_factors,
)
from mg_assets.factors.style_factors import COMMON, common_factors, style_exposures
from mg_assets.sources.simulated.daily_layer import daily_market
from mg_assets.sources.simulated.settings import SimulationSettings

NEEDS_TURNOVER = ("exp_wgt_return_3m", "ivr_ff3factor_1m", "turn_1m", "std_turn_1m", "bias_turn_1m",
                  "std_turn_10d", "corr_ret_turn")  # fmt: skip


# The twin: one stock at a time, pandas and numpy, from the definitions


def agree(found, expected):
    """1e-9 relative or 1e-12 absolute, NaN for NaN."""
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def pstd(x, least):
    x = x[np.isfinite(x)]
    if len(x) < least:
        return np.nan
    return 0.0 if np.std(x) <= 1e-12 * np.abs(x).max() else float(np.std(x))


def mean(x, least):
    x = x[np.isfinite(x)]
    return np.nan if len(x) < least else math.fsum(x) / len(x)


def pearson(x, y, least):
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < least or np.std(x) <= 1e-12 * np.abs(x).max() or np.std(y) <= 1e-12 * np.abs(y).max():
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def divided(a, b):
    return np.nan if b == 0 or not np.isfinite(b) else a / b


class Stock:
    """One stock's adjusted series as plain columns."""

    def __init__(self, columns, s):
        frame = pd.DataFrame({c: columns.get(c, np.full_like(columns["close"], np.nan))[:, s] for c in
                              (*BARS, *FUNDAMENTALS)})  # fmt: skip
        self.raw = frame
        f = frame["adj_factor"]
        self.traded = ((frame["volume"] > 0) & (frame["close"] > 0) & np.isfinite(frame["close"] * f)).to_numpy()
        self.carried = (frame["close"] * f).to_numpy()
        shown = frame[self.traded].reindex(frame.index)
        self.price = {c: (shown[c] * f).to_numpy() for c in ("open", "high", "low", "close", "vwap")}
        self.volume = (shown["volume"] / f).to_numpy()
        self.turn = (shown["volume"] / frame["float_shares"]).to_numpy()
        self.ret = np.where(self.traded, np.append(np.nan, self.carried[1:] / self.carried[:-1] - 1), np.nan)
        self.cap = (frame["close"] * frame["float_shares"]).to_numpy()
        self.amount = shown["amount"].to_numpy()


def style_returns(stocks, d):
    """Market, size and BP return of one day from sorted lists."""
    rows = [
        (s.ret[d], s.cap[d - 1], 1 / s.raw["pb"][d - 1])
        for s in stocks
        if np.isfinite(s.ret[d]) and np.isfinite(s.cap[d - 1])
    ]

    def weighted(part):
        total = math.fsum(c for _, c, _ in part)
        return math.fsum(r * c for r, c, _ in part) / total if part else np.nan

    if not rows:
        return [np.nan] * 3
    middle = pd.Series([c for _, c, _ in rows]).median()
    size = weighted([r for r in rows if r[1] <= middle]) - weighted([r for r in rows if r[1] > middle])
    known = [r for r in rows if np.isfinite(r[2])]
    if not known:
        return [weighted(rows), size, np.nan]
    low, high = pd.Series([b for _, _, b in known]).quantile([0.3, 0.7])
    value = weighted([r for r in known if r[2] >= high]) - weighted([r for r in known if r[2] <= low])
    return [weighted(rows), size, value]


def daily_twin(stock, styles, d):
    if not stock.traded[d]:
        return dict.fromkeys(DAILY42, np.nan)
    day = stock.raw.iloc[d]
    out = {
        "bp_lf": divided(1, day["pb"]),
        "ep_ttm": divided(1, day["pe_ttm"]),
        "ocfp_ttm": divided(1, day["pcf_ttm"]),
        "dyr12": day["dividend_yield_12m"],
    }
    for name, column, adjusted in (("eps", "eps_fy1", True), ("roe", "roe_fy1", False), ("np", "np_fy1", False)):
        x = stock.raw[column] * (stock.raw["adj_factor"] if adjusted else 1)
        out[f"con_{name}_g"] = np.nan if d < 63 else divided(x[d] - x[d - 63], abs(x[d - 63]))

    def window(x, n):
        return x[max(0, d - n + 1) : d + 1]

    for name, n, least in (("ret_5d", 5, 3), ("ret_1m", 21, 13)):
        enough = d >= n and np.isfinite(window(stock.ret, n)).sum() >= least
        out[name] = stock.carried[d] / stock.carried[d - n] - 1 if enough else np.nan
    weight = np.array([math.exp(-(d - i) / 12) for i in range(max(0, d - 62), d + 1)]) * window(stock.turn, 63)
    r = window(stock.ret, 63)
    both = np.isfinite(r) & np.isfinite(weight)
    out["exp_wgt_return_3m"] = (
        divided(math.fsum((r * weight)[both]), math.fsum(weight[both])) if both.sum() >= 38 else np.nan
    )
    out["std_1m"] = pstd(window(stock.ret, 21), 13)
    out["vstd_1m"] = pstd(window(stock.volume, 21) * day["adj_factor"], 13)
    r, x = window(stock.ret, 21), window(styles, 21)
    whole = np.isfinite(r) & np.isfinite(x).all(axis=1)
    if whole.sum() >= 13:
        design = np.column_stack([np.ones(whole.sum()), x[whole]])
        out["ivr_ff3factor_1m"] = float(np.std(r[whole] - design @ np.linalg.lstsq(design, r[whole])[0]))
    else:
        out["ivr_ff3factor_1m"] = np.nan
    out["turn_1m"] = mean(window(stock.turn, 21), 13)
    out["std_turn_1m"] = pstd(window(stock.turn, 21), 13)
    out["bias_turn_1m"] = divided(out["turn_1m"], mean(window(stock.turn, 504), 303))
    ret, vol, turn = (window(x, 10) for x in (stock.ret, stock.volume, stock.turn))
    out["std_ret_10d"] = pstd(ret, 6)
    out["std_vol_10d"] = pstd(vol * day["adj_factor"], 6)
    out["std_turn_10d"] = pstd(turn, 6)
    for name, price in stock.price.items():
        out[f"corr_ret_{name}"] = pearson(ret, window(price, 10), 6)
        out[f"corr_vol_{name}"] = pearson(vol, window(price, 10), 6)
    out["corr_ret_vol"] = pearson(ret, vol, 6)
    out["corr_ret_turn"] = pearson(ret, turn, 6)
    o, h, low, c = (day[x] for x in ("open", "high", "low", "close"))
    flat = h == low
    out |= {
        "low2high": low / h,
        "vwap2close": day["vwap"] / c,
        "kmid": (c - o) / o,
        "klen": (h - low) / o,
        "kmid2": 0 if flat else (c - o) / (h - low),
        "kup": (h - max(o, c)) / o,
        "kup2": 0 if flat else (h - max(o, c)) / (h - low),
        "klow": (min(o, c) - low) / o,
        "klow2": 0 if flat else (min(o, c) - low) / (h - low),
        "ksft": (2 * c - h - low) / o,
        "ksft2": 0 if flat else (2 * c - h - low) / (h - low),
    }
    return {k: v if np.isfinite(v) else np.nan for k, v in out.items()}


def common_twin(stock, market, d):
    if not stock.traded[d]:
        return dict.fromkeys(COMMON, np.nan)

    def window(x, n):
        return x[max(0, d - n + 1) : d + 1]

    enough = d >= 21 and np.isfinite(window(stock.ret, 21)).sum() >= 13
    amount = mean(window(stock.amount, 21), 13)
    r, m = window(stock.ret, 252), window(market, 252)
    both = np.isfinite(r) & np.isfinite(m)
    beta = np.nan
    if both.sum() >= 120:
        beta = np.cov(r[both], m[both], bias=True)[0, 1] / np.var(m[both])
    return {
        "reversal": stock.carried[d] / stock.carried[d - 21] - 1 if enough else np.nan,
        "cap": math.log(stock.cap[d]) if stock.cap[d] > 0 else np.nan,
        "amount": math.log(amount) if amount > 0 else np.nan,
        "turnover": mean(window(stock.turn, 21), 13),
        "beta": beta,
    }


def twin(columns, days):
    """Both tables of the given day rows."""
    stocks = [Stock(columns, s) for s in range(columns["close"].shape[1])]
    styles = np.full((len(columns["close"]), 3), np.nan)
    for d in range(1, len(styles)):
        styles[d] = style_returns(stocks, d)
    daily = np.array([[list(_ordered(daily_twin(s, styles, d), DAILY42)) for s in stocks] for d in days])
    common = np.array([[list(_ordered(common_twin(s, styles[:, 0], d), COMMON)) for s in stocks] for d in days])
    return daily, common


def _ordered(values, names):
    assert set(values) == set(names)
    return (values[n] for n in names)


# Days to try them on


def market(seed=0, days=560, stocks=24):
    """Bars with splits, suspensions, late listings, gaps, one-price days, constant volumes and missing figures."""
    rng = np.random.default_rng(seed)
    shape = (days, stocks)
    ret = rng.standard_t(4, shape) * 0.015
    factor = np.exp(np.cumsum(np.where(rng.random(shape) < 0.004, 0.7, 0.0), axis=0)) * rng.uniform(1, 30, stocks)
    close = np.exp(ret.cumsum(axis=0)) * rng.uniform(3, 200, stocks) / factor
    open_ = close * np.exp(rng.normal(0, 0.008, shape))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.004, shape)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.004, shape)))
    still = rng.random(shape) < 0.03
    still[200:230, 1] = True
    locked = rng.random(shape) < 0.03
    for price in (open_, high, low):
        price[locked | still] = close[locked | still]
    volume = np.round(rng.lognormal(15, 1, shape))
    volume[:, 2] = 1e9  # flat
    volume[still] = 0
    shares = rng.uniform(1e8, 1e10, stocks) / factor * factor[0]
    columns = {
        "open": open_, "high": high, "low": low, "close": close, "vwap": np.where(still, np.nan, (high + low) / 2),
        "volume": volume, "amount": np.where(still, 0, volume * close), "adj_factor": factor, "float_shares": shares,
        "pb": rng.lognormal(0.5, 0.8, shape), "pe_ttm": rng.normal(15, 20, shape), "pcf_ttm": rng.normal(10, 20, shape),
        "dividend_yield_12m": rng.uniform(0, 0.05, shape), "eps_fy1": rng.normal(0.3, 0.5, shape),
        "roe_fy1": rng.normal(0.1, 0.1, shape), "np_fy1": rng.normal(1e9, 1e9, shape),
    }  # fmt: skip
    gone = rng.random(shape) < 0.01
    gone[:400, 3] = True  # listed late
    gone[:, 4] = rng.random(days) < 0.6
    for column in columns.values():
        column[gone] = np.nan
    for name in FUNDAMENTALS:
        columns[name][rng.random(shape) < 0.1] = np.nan
    columns["pe_ttm"][:, 5] = 0
    columns["np_fy1"][300:, 6] = 0
    return columns


DAYS = (0, 1, 5, 21, 62, 63, 130, 215, 303, 420, 503, 504, 558, 559)


@pytest.mark.parametrize("seed", [0, 1])
def test_factors_agree_with_the_twin(seed):
    columns = market(seed)
    series = DailySeries(columns)
    daily, common = twin(columns, DAYS)
    agree(daily_factors(series)[list(DAYS)], daily)
    agree(common_factors(series)[list(DAYS)], common)
    seen = np.isfinite(daily).any(axis=(0, 1))
    assert seen.all(), [n for n, s in zip(DAILY42, seen, strict=True) if not s]
    assert np.isfinite(common).any(axis=(0, 1)).all()


def test_one_day_at_a_time_gives_the_bits_of_all_at_once():
    columns = market(2)
    whole, common = daily_factors(DailySeries(columns)), common_factors(DailySeries(columns))
    for d in (504, 530, 559):
        part = {c: v[d - LOOK_BACK : d + 1].copy() for c, v in columns.items()}
        short = d + 1 - SHORT_LOOK_BACK
        for name in set(part) - {"close", "volume", "adj_factor", "float_shares"}:
            part[name][: -SHORT_LOOK_BACK - 1] = np.nan  # what the asset does not read
        assert short > 0
        series = DailySeries(part)
        np.testing.assert_array_equal(daily_factors(series, last=1)[0], whole[d])
        np.testing.assert_array_equal(common_factors(series, last=1)[0], common[d])
    np.testing.assert_array_equal(daily_factors(DailySeries(columns), last=7, threads=3), whole[-7:])
    np.testing.assert_array_equal(common_factors(DailySeries(columns), last=7, threads=3), common[-7:])


def test_the_future_changes_nothing_before_it():
    columns = market(3, days=120)
    before = daily_factors(DailySeries(columns)), common_factors(DailySeries(columns))
    rng = np.random.default_rng(1)
    other = {c: v.copy() for c, v in columns.items()}
    for column in other.values():
        column[80:] *= rng.uniform(0.2, 3, column[80:].shape)
    after = daily_factors(DailySeries(other)), common_factors(DailySeries(other))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a[:80], b[:80])
        assert not np.array_equal(a[80:], b[80:], equal_nan=True)


def test_permuting_stocks_permutes():
    columns = market(4, days=150)
    at = np.random.default_rng(0).permutation(columns["close"].shape[1])
    moved = {c: v[:, at] for c, v in columns.items()}
    agree(daily_factors(DailySeries(moved)), daily_factors(DailySeries(columns))[:, at])
    agree(common_factors(DailySeries(moved)), common_factors(DailySeries(columns))[:, at])


def test_stocks_off_the_axis_and_adjustment_bases_change_nothing():
    columns = market(5, days=150)
    wider = {c: np.insert(v, [3, 9], np.nan, axis=1) for c, v in columns.items()}
    kept = np.delete(np.arange(26), [3, 10])
    np.testing.assert_array_equal(daily_factors(DailySeries(wider))[:, kept], daily_factors(DailySeries(columns)))
    scaled = columns | {"adj_factor": columns["adj_factor"] * np.random.default_rng(0).uniform(0.1, 9, 24)}
    agree(daily_factors(DailySeries(scaled)), daily_factors(DailySeries(columns)))


def test_a_split_is_no_return_no_growth_and_no_jump_in_volume():
    columns = market(6, days=150, stocks=8)
    half = {c: v.copy() for c, v in columns.items()}
    for name in ("open", "high", "low", "close", "vwap", "eps_fy1"):
        half[name][100:] /= 2
    for name in ("volume", "float_shares", "adj_factor"):
        half[name][100:] *= 2
    expected = daily_factors(DailySeries(columns))
    for name in ("std_vol_10d", "vstd_1m"):
        expected[100:, :, DAILY42.index(name)] *= 2  # in shares of the day
    agree(daily_factors(DailySeries(half)), expected)
    agree(common_factors(DailySeries(half)), common_factors(DailySeries(columns)))


def test_absent_columns_give_null_factors_required_ones_an_error():
    columns = market(7, days=150)
    bars = {c: columns[c] for c in ("open", "high", "low", "close", "volume", "adj_factor")}
    found = daily_factors(DailySeries(bars))
    null = {n for n, f in zip(DAILY42, np.isfinite(found).any(axis=(0, 1)), strict=True) if not f}
    no_vwap = {"vwap2close", "corr_ret_vwap", "corr_vol_vwap"}
    assert null == {*VALUATION, *EXPECTATION, *NEEDS_TURNOVER, *no_vwap}
    assert np.isfinite(common_factors(DailySeries(bars))).any(axis=(0, 1)).tolist() == [True] + [False] * 4
    with pytest.raises(DataError, match=r"lack \['volume'\]"):
        DailySeries({c: v for c, v in bars.items() if c != "volume"})
    with pytest.raises(DataError, match="expected one"):
        DailySeries(bars | {"close": bars["close"][1:]})
    with pytest.raises(DataError, match=r"last was 151, expected 0\.\.150"):
        daily_factors(DailySeries(bars), last=151)


def test_style_scores_are_standard_and_clipped():
    values = common_factors(DailySeries(market(8, days=150, stocks=200)), last=1)[0]
    inside = np.arange(200) % 10 > 0
    found = style_exposures(values, inside)
    assert (np.isnan(found) == (np.isnan(values) | ~inside[:, None])).all()
    np.testing.assert_allclose(np.nanmean(found, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(found, axis=0), 1, atol=1e-12)
    wild = values.copy()
    wild[1] = values[1] * 1e6
    assert np.nanmax(np.abs(style_exposures(wild, inside))) < 10


def test_a_simulated_market_has_every_factor():
    simulated = daily_market(SimulationSettings(seed=5, stocks=40, end="2015-06-30"))
    listed = simulated.listed
    columns = {c: np.where(listed, getattr(simulated, c), np.nan).astype(float) for c in BARS if c != "vwap"}
    columns["vwap"] = np.where(simulated.suspended | ~listed, np.nan, simulated.vwap)
    columns |= {c: simulated.fundamentals[c].astype(float) for c in FUNDAMENTALS}
    days = [len(listed) - 1, len(listed) - 30]
    daily, common = twin(columns, days)
    series = DailySeries(columns)
    agree(daily_factors(series)[days], daily)
    agree(common_factors(series)[days], common)
    assert np.isfinite(daily).mean(axis=(0, 1)).min() > 0.5
    assert np.nanmedian(common[..., -1]) == pytest.approx(1, abs=0.3)  # betas


def real_panel(frame, columns, days=560, stocks=30):
    """Dense columns of a long frame's first stocks and last days."""
    dates = np.sort(frame["date"].unique())[-days:]
    frame = frame[frame["date"].isin(dates) & frame["symbol"].isin(sorted(frame["symbol"].unique())[:stocks])]
    return {c: frame.pivot(index="date", columns="symbol", values=c).to_numpy(float) for c in columns}


def test_the_csi800_panel_computes_what_it_can(shared_data):
    path = shared_data / "daily_csi800_ever_2013_2023" / "daily.parquet"
    if not path.exists():
        pytest.skip(f"{path} absent")
    frame = pd.read_parquet(path, filters=[("date", ">=", pd.Timestamp("2021-06-01"))])
    frame = frame.rename(columns={"factor": "adj_factor"} | {f"{c}_milli": c for c in BARS[:4]})
    columns = real_panel(frame, (*BARS[:4], "volume", "adj_factor"))
    days = [300, 559]
    daily, common = twin(columns, days)
    agree(daily_factors(DailySeries(columns))[days], daily)
    agree(common_factors(DailySeries(columns))[days], common)
    share = dict(zip(DAILY42, np.isfinite(daily).mean(axis=(0, 1)), strict=True))
    assert share["ret_1m"] > 0.9
    assert share["corr_ret_vol"] > 0.9
    assert share["turn_1m"] == share["bp_lf"] == 0


def test_baostock_bars_with_turnover_and_valuation(shared_data):
    path = shared_data / "daily_baostock_300_2020_2023" / "daily.parquet"
    if not path.exists():
        pytest.skip(f"{path} absent")
    frame = pd.read_parquet(path).rename(
        columns={"code": "symbol", "pbMRQ": "pb", "peTTM": "pe_ttm", "pcfNcfTTM": "pcf_ttm"}
    )
    frame["date"] = pd.to_datetime(frame["date"])
    frame["adj_factor"] = 1.0
    frame["vwap"] = frame["amount"] / frame["volume"].where(frame["volume"] > 0)
    frame["float_shares"] = frame["volume"] / (frame["turn"].where(frame["turn"] > 0) / 100)
    columns = real_panel(frame, (*BARS, "pb", "pe_ttm", "pcf_ttm"))
    days = [40, 559]
    daily, common = twin(columns, days)
    agree(daily_factors(DailySeries(columns))[days], daily)
    agree(common_factors(DailySeries(columns))[days], common)
    share = np.isfinite(daily[1]).mean(axis=0)
    lacking = {n for n, x in zip(DAILY42, share, strict=True) if x == 0}
    assert lacking == {"dyr12", *EXPECTATION}
