"""The daily layer is deterministic, obeys the exchange's rules and looks like a market."""

import hashlib
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import kurtosis

from mg_assets.errors import SourceError
from mg_assets.market.schema import INDICES
from mg_assets.sources.simulated import SimulationSettings, daily_market, plan_day
from mg_assets.sources.simulated.daily_prices import limits
from mg_assets.sources.simulated.indices import review_days
from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.stocks import INDUSTRIES, make_stocks

SMALL = SimulationSettings(stocks=40, start="2020-06-01", end="2020-12-31")


@pytest.fixture(scope="module")
def market():
    return daily_market(SimulationSettings())


@pytest.fixture(scope="module")
def trading(market):
    return market.listed & ~market.suspended


@pytest.fixture(scope="module")
def returns(market, trading):
    with np.errstate(invalid="ignore"):
        return np.where(trading, market.close / market.prev_close - 1, np.nan)


def arrays(market):
    every = {f.name: getattr(market, f.name) for f in fields(market)}
    out = {k: v for k, v in every.items() if isinstance(v, np.ndarray)}
    return {**out, **market.prices, **market.fundamentals}


def digest(market):
    h = hashlib.sha256()
    for name, array in sorted(arrays(market).items()):
        h.update(name.encode())
        h.update("|".join(array).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes())
    return h.hexdigest()


def test_another_process_makes_the_same_bytes():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('twin', {__file__!r})\n"
        "twin = importlib.util.module_from_spec(spec); spec.loader.exec_module(twin)\n"
        "print(twin.digest(twin.daily_market(twin.SMALL)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert run.stdout.strip() == digest(daily_market(SMALL))


def test_end_changes_nothing_before_it():
    long = arrays(daily_market(SimulationSettings(stocks=60, end="2016-12-30")))
    short = arrays(daily_market(SimulationSettings(stocks=60, end="2014-07-31")))
    rows = len(short["days"])
    for name, array in short.items():
        if name in ("announced", "delist_date"):
            continue  # one entry a stock: what is decided by the end
        np.testing.assert_array_equal(array, long[name][:rows] if array.ndim == 2 or name == "days" else long[name])
    known = short["announced"] < rows
    np.testing.assert_array_equal(short["delist_date"][known], long["delist_date"][known])
    assert (long["announced"][~known] >= rows).all()


def test_seed_and_strength_make_other_markets():
    base, other = (
        daily_market(SMALL),
        daily_market(SimulationSettings(seed=1, stocks=40, start=SMALL.start, end=SMALL.end)),
    )
    assert base.symbols.tolist() != other.symbols.tolist()


def test_random_numbers_depend_on_stream_and_day_alone():
    a = generator(5, RandomStream.PRICES, 9).random(4)
    generator(5, RandomStream.PRICES, 8).random(1000)
    np.testing.assert_array_equal(a, generator(5, RandomStream.PRICES, 9).random(4))
    others = [
        generator(5, RandomStream.PRICES, 10),
        generator(5, RandomStream.VOLUME, 9),
        generator(6, RandomStream.PRICES, 9),
    ]
    assert all(not np.isin(g.random(4), a).any() for g in others)


def test_symbols_look_real_and_ascend(market):
    assert (np.sort(market.symbols.astype(str)) == market.symbols.astype(str)).all()
    assert len(set(market.symbols)) == 200
    heads = {"main": ("000", "001", "002", "003", "600", "601", "603", "605"), "chinext": ("300",), "star": ("688",)}
    for symbol, board in zip(market.symbols, market.board, strict=True):
        assert symbol.startswith(heads[board])
        assert symbol.endswith(".SH" if symbol[0] == "6" else ".SZ")
    assert set(market.board) == {"main", "star", "chinext"}
    assert (market.list_date[market.board == "star"] >= np.datetime64("2019-07-22")).all()
    assert (market.list_date[market.board == "chinext"] >= np.datetime64("2009-10-30")).all()


def test_largest_market_has_unique_symbols_and_all_industries():
    stocks = make_stocks(SimulationSettings(stocks=6000, end="2013-01-31"))
    assert len(set(stocks.symbols)) == 6000
    assert set(stocks.industry) == set(INDUSTRIES)
    assert len(INDUSTRIES) == 30


def test_prices_are_consistent_and_on_the_tick(market, trading):
    tick = {name: market.ticks(name)[trading] for name in market.prices}
    for name in ("open", "close", "vwap"):
        assert (tick["low"] <= tick[name]).all()
        assert (tick[name] <= tick["high"]).all()
    assert (tick["down_limit"] <= tick["low"]).all()
    assert (tick["high"] <= tick["up_limit"]).all()
    assert (tick["down_limit"] >= 1).all()
    close = market.close[trading]
    np.testing.assert_array_equal(close, np.round(close, 2))
    still = market.suspended
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(market.ticks(name)[still], market.ticks("prev_close")[still])
    assert np.isnan(market.vwap[still]).all()
    assert (market.volume[~trading] == 0).all()
    assert (market.volume[trading] >= 100).all()
    assert 0.8 < (market.volume[trading] % 100 == 0).mean() < 0.9


def test_amount_is_vwap_times_volume_to_the_cent(market, trading):
    cents = market.ticks("vwap")[trading].astype(object) * market.volume[trading].astype(object)
    np.testing.assert_array_equal(np.round(market.amount[trading] * 100).astype(np.int64), cents.astype(np.int64))


def test_limits_follow_board_date_and_st():
    reference = np.array([1000, 1000, 1000, 1000, 1005, 999])
    board = np.array(["main", "star", "chinext", "main", "main", "main"], dtype=object)
    st = np.array([False, False, False, True, False, False])
    fresh = np.array([False] * 5 + [True])
    up, down = limits(reference, board, st, fresh, np.datetime64("2020-08-21"))
    assert up.tolist() == [1100, 1200, 1100, 1050, 1106, 1439]  # 10.05 * 1.1 = 11.055, half up
    assert down.tolist() == [900, 800, 900, 950, 905, 639]
    up, _ = limits(reference, board, st, fresh, np.datetime64("2020-08-24"))
    assert up[2] == 1200


def test_every_limit_of_the_history_follows_the_rule(market):
    for d in (0, 700, 1860, 1861, 2500):
        fresh = market.list_date == market.days[d]
        up, down = limits(market.ticks("prev_close")[d].astype(int), market.board, market.st[d], fresh, market.days[d])
        here = market.listed[d]
        np.testing.assert_array_equal(market.ticks("up_limit")[d, here], up[here])
        np.testing.assert_array_equal(market.ticks("down_limit")[d, here], down[here])


def test_one_word_days_exist_and_are_flagged(market, trading):
    locked = (
        trading
        & (market.open == market.close)
        & ((market.close == market.up_limit) | (market.close == market.down_limit))
    )
    assert locked.any()
    assert (market.ticks("high")[locked] == market.ticks("low")[locked]).all()
    d = int(np.flatnonzero(locked.any(axis=1))[0])
    plan = plan_day(market, market.days[d].item())
    assert set(plan.symbols[plan.one_word]) == set(market.symbols[locked[d]])
    assert 0.0005 < locked.sum() / trading.sum() < 0.005


def test_adjusted_prices_are_continuous_over_ex_days(market, returns):
    adjusted = market.close * market.adj_factor
    both = market.listed[1:] & market.listed[:-1] & np.isfinite(returns[1:])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose((adjusted[1:] / adjusted[:-1] - 1)[both], returns[1:][both], rtol=1e-9, atol=1e-12)
        factor = market.adj_factor[1:] / market.adj_factor[:-1]
    ex = both & (factor != 1)
    assert (factor[ex] > 1).all()
    reference = market.prev_close[1:]
    np.testing.assert_array_equal(reference[both & ~ex], market.close[:-1][both & ~ex])
    splits = ex & (market.float_shares[1:] > 1.15 * market.float_shares[:-1])
    assert ex.sum() > 500
    assert splits.sum() > 20
    share = market.float_shares[1:] / np.where(market.listed[:-1], market.float_shares[:-1], np.nan)
    assert np.isclose(factor[splits], share[splits], rtol=0.1).mean() > 0.9  # the rest: unlocked shares
    months = market.days.astype("datetime64[M]").astype(int)[1:] % 12 + 1
    assert set(months[ex.any(axis=1)]) <= {6, 7, 8}  # a weekend may push one to August


def test_moves_gather_while_suspended_and_are_paid_at_resumption(market, returns):
    resumed = np.zeros_like(market.suspended)
    resumed[1:] = market.suspended[:-1] & ~market.suspended[1:] & market.listed[1:]
    ordinary = np.isfinite(returns) & ~resumed
    assert resumed.sum() > 300
    assert np.nanstd(returns[resumed]) > 1.4 * np.nanstd(returns[ordinary])
    assert (returns[resumed] <= 0.21).all()


def test_names_come_and_go(market):
    listed = market.listed
    first, last = listed.argmax(axis=0), len(listed) - 1 - listed[::-1].argmax(axis=0)
    assert listed[0].sum() == 160
    spell = np.where(listed.any(axis=0), last - first + 1, 0)
    np.testing.assert_array_equal(listed.sum(axis=0), spell)  # unbroken
    gone = ~np.isnat(market.delist_date) & (market.delist_date <= market.days[-1])
    assert 3 <= gone.sum() <= 30
    np.testing.assert_array_equal(market.days[last[gone] + 1], market.delist_date[gone])
    new = market.list_date > market.days[0]
    np.testing.assert_array_equal(
        market.days[first[new & listed.any(axis=0)]], market.list_date[new & listed.any(axis=0)]
    )
    np.testing.assert_array_equal(last[gone] + 1 - market.announced[gone], 15)


def test_shares_of_suspended_st_and_limit_names():
    m = daily_market(SimulationSettings(stocks=800, end="2017-12-29"))
    trading = m.listed & ~m.suspended
    at = trading & ((m.close == m.up_limit) | (m.close == m.down_limit))
    assert 0.010 <= m.suspended.sum() / m.listed.sum() <= 0.020
    assert 0.020 <= m.st.sum() / m.listed.sum() <= 0.030
    assert 0.010 <= at.sum() / trading.sum() <= 0.020
    spells = (m.suspended[1:] & ~m.suspended[:-1]).sum()
    assert 6 < m.suspended.sum() / spells < 14


def test_shares_of_nought_are_nought():
    m = daily_market(SimulationSettings(stocks=60, end="2014-12-31", suspended_share=0.0, st_share=0.0))
    assert not m.suspended.any()
    assert (m.announced[m.st.any(axis=0)] < len(m.days)).all()  # only the last days of a name that leaves


def test_cross_section_dispersion_is_two_to_three_percent(returns):
    spread = np.nanstd(returns, axis=1)
    assert 0.02 <= spread.mean() <= 0.03
    assert 0.015 <= np.percentile(spread, 1)
    assert np.percentile(spread, 99) <= 0.04


def test_fat_tails_and_volatility_clustering(returns):
    own = returns - np.nanmean(returns, axis=1, keepdims=True)
    long = own[:, np.isfinite(own).sum(axis=0) > 1500]
    assert 2 < np.mean(kurtosis(long, axis=0, nan_policy="omit")) < 8
    assert kurtosis(np.nanmean(returns, axis=1)) > 1.5

    def echo(x, lag):
        pairs = [(x[:-lag, j], x[lag:, j]) for j in range(x.shape[1])]
        pairs = [(a[np.isfinite(a + b)], b[np.isfinite(a + b)]) for a, b in pairs]
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])

    size = np.abs(long)
    assert echo(size, 1) > 0.08
    assert echo(size, 1) > echo(size, 5) > echo(size, 20) > 0.02
    assert abs(echo(long, 1)) < 0.03


def test_volume_is_heavy_tailed_across_stocks_and_persistent(market, trading):
    volume = np.where(trading, market.volume, np.nan)
    day = np.nanmean(volume, axis=0)
    assert np.nanpercentile(day, 99) > 8 * np.nanmedian(day)
    turnover = np.log(volume / market.float_shares)
    turnover = turnover - np.nanmean(turnover, axis=0)
    ok = np.isfinite(turnover[1:]) & np.isfinite(turnover[:-1])
    assert 0.6 < np.corrcoef(turnover[1:][ok], turnover[:-1][ok])[0, 1] < 0.95


def test_index_weights_sum_to_one_and_members_do_not_overlap(market):
    member = np.stack([market.members(i) for i in INDICES])
    assert (member.sum(axis=0) <= 1).all()
    assert not (member & ~market.listed).any()
    assert (member.sum(axis=2) <= np.array(market.settings.members)[:, None]).all()
    reviews = review_days(market.days)
    np.testing.assert_array_equal(
        member[:, reviews].sum(axis=2).T, np.tile(market.settings.members, (reviews.sum(), 1))
    )
    for i in INDICES:
        weights = market.weights(i)
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
        assert (weights[~market.members(i)] == 0).all()
    changed = (market.index_code[1:] != market.index_code[:-1]) & market.listed[1:]
    assert (reviews[1:] | ~changed.any(axis=1)).all()
    kept = 1 - changed[reviews[1:]].mean()
    assert 0.85 < kept < 1.0


def test_large_caps_are_in_the_first_index(market):
    cap = market.close * market.float_shares
    for d in np.flatnonzero(review_days(market.days)):
        top, middle, small = (np.median(cap[d - 1, market.index_code[d] == k]) for k in (1, 2, 3))
        assert top > middle > small


def test_review_takes_effect_on_the_day_after_the_second_friday():
    from mg_assets.market.calendar import trading_days

    days = trading_days("2013-01-04", "2023-12-29")
    effective = days[review_days(days)]
    assert len(effective) == 22
    assert np.isin(np.array(["2013-06-17", "2020-06-15", "2023-12-11"], "datetime64[D]"), effective).all()
    np.testing.assert_array_equal(effective, [d for d in effective if d in trading_days("2013-05-01")])


def test_new_members_are_seasoned_and_sound(market):
    age = np.cumsum(market.listed, axis=0) + np.where(market.list_date < market.days[0], 1000, 0)
    for d in np.flatnonzero(review_days(market.days)):
        chosen = market.index_code[d] > 0
        assert (age[d, chosen] > 63).all()
        assert not market.st[d, chosen].any()
        assert not market.suspended[d, chosen].any()


def test_plan_is_on_the_tick_and_inside_the_limits(market):
    for date in ("2013-01-04", "2015-07-08", "2021-03-10"):
        plan = plan_day(market, date)
        d = market.row(date)
        assert len(plan) == market.listed[d].sum()
        np.testing.assert_array_equal(plan.symbols, market.symbols[market.listed[d]])
        for price in (plan.open, plan.close):
            assert ((plan.down_limit <= price) & (price <= plan.up_limit)).all()
            np.testing.assert_array_equal(price, np.round(price, 2))
        np.testing.assert_array_equal(plan.open[plan.suspended], plan.prev_close[plan.suspended])
        assert (plan.volume[plan.suspended] == 0).all()
        assert (plan.volume[~plan.suspended] >= plan.lot[~plan.suspended]).all()
        assert ((0.003 < plan.volatility) & (plan.volatility < 0.2)).all()
        np.testing.assert_array_equal(plan.lot == 200, plan.board == "star")
        np.testing.assert_allclose(plan.alpha, market.signal[d, market.listed[d]])


def test_cached_arrays_cannot_be_written(market):
    with pytest.raises(ValueError, match="read-only"):
        market.volume[0, 0] = 1


def test_a_closed_day_is_refused(market):
    with pytest.raises(SourceError, match="no trading day 2013-01-05"):
        market.row("2013-01-05")


@pytest.mark.slow
def test_five_thousand_stocks_fit_in_memory():
    import resource

    m = daily_market(SimulationSettings(stocks=5000))
    assert sum(a.nbytes for a in arrays(m).values()) < 1.5e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4e6
    assert m.settings.members == (300, 500, 1000)
