"""Each clause of the definitions on a day small enough to work out by hand."""

import math

import factors_twin as twin
import numpy as np
import pandas as pd
import pytest
import random_ticks
from scipy import stats

from mg_assets.factors import (
    bars_from_trades,
    intraday_factors,
    minute_factors,
    monitor_factors,
    order_factors,
    trade_factors,
)
from mg_assets.factors.kernels.moments import corr, skew


def bars_of(close, volume=None, amount=None, num_trades=None, open_=None, minute=None, **columns):
    n = len(close)
    close = np.asarray(close, float)
    open_ = np.r_[close[:1], close[:-1]] if open_ is None else open_
    volume = np.full(n, 100) if volume is None else np.asarray(volume)
    return pd.DataFrame(
        {
            "symbol": "A",
            "minute": np.arange(n) if minute is None else minute,
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": volume,
            "amount": close * volume if amount is None else amount,
            "num_trades": 1 if num_trades is None else num_trades,
            **columns,
        }
    )


def minute(bars):
    return minute_factors(bars).loc["A"]


def trade(rows, **options):
    return trade_factors(random_ticks.trades_frame(rows), **options).loc["A"]


def test_moments_are_scipys_biased_ones():
    x = np.random.default_rng(0).lognormal(size=50)
    y = x + np.random.default_rng(1).normal(size=50)
    assert skew(x) == pytest.approx(stats.skew(x), rel=1e-12)
    assert corr(x, y, 10) == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-12)


def test_skew_of_few_or_flat_values_is_nan():
    assert math.isnan(skew(np.array([1.0, 2.0, 3.0, 5.0])))
    assert math.isnan(skew(np.array([1.0, 2.0, np.nan, np.inf, 3.0, 5.0])))
    assert math.isnan(skew(np.full(9, 0.1)))
    assert math.isnan(skew(1e6 + np.arange(9) * 1e-8))
    assert math.isfinite(skew(1e6 + np.arange(9) * 1e-3))


def test_correlation_of_few_or_flat_pairs_is_nan_and_clamped():
    x = np.arange(10.0)
    assert corr(x, 3 * x + 1, 10) == 1.0
    assert corr(x, -x, 10) == -1.0
    assert math.isnan(corr(x[:9], x[:9], 10))
    assert math.isnan(corr(x, np.full(10, 0.1), 10))
    assert math.isnan(corr(np.r_[x, 11], np.r_[np.nan, x[1:], np.inf], 10))


def test_half_hour_shares():
    volume = np.repeat([1, 2, 3, 4, 5, 6, 7, 8], 30) * 100
    found = minute(bars_of(np.full(240, 10.0), volume))
    for k in range(2, 8):
        assert found[f"volume_perc{k}"] == pytest.approx(k / 36)
    tail = monitor_factors(bars_of(np.full(240, 10.0), volume), None, None).loc["A", "tail_volume_share"]
    assert tail == pytest.approx(8 / 36)


def test_flat_day_has_no_correlation_and_no_volatility_share():
    found = minute(bars_of(np.full(240, 10.0)))
    names = ["late_skew_ret", "down_vol_perc", "corr_ret_lastret", "corr_close_nextopen", "corr_volume_item"]
    assert found[names].isna().all()
    assert found["bigorder_ret"] == 0
    assert math.isnan(found["down_single_amt_perc"])


def test_first_traded_bar_starts_from_its_open_without_the_night():
    close = np.full(240, 11.0)
    found = minute(bars_of(close, open_=np.r_[11.1, close[1:]], prev_close=10.0))
    assert found["down_vol_perc"] == 1.0
    assert found["bigorder_ret"] == pytest.approx(11.0 / 11.1 - 1)


def test_top_bars_are_rounded_up_and_ties_go_to_the_earlier_bar():
    # 4 bars with trades: (3 * 4 + 9) // 10 = 2. Bars 20 and 30 tie with bar 10 at 1000 yuan a trade: bar 10 and 20 win.
    bars = bars_of(
        [10.0, 10.1, 10.2, 10.3],
        minute=[10, 20, 30, 40],
        amount=[1000.0, 2000.0, 3000.0, 10.0],
        num_trades=[1, 2, 3, 1],
        open_=[9.9, 10.0, 10.1, 10.2],
    )
    assert minute(bars)["bigorder_ret"] == pytest.approx(10.0 / 9.9 * 10.1 / 10.0 - 1, rel=1e-12)
    # Less than half a cent is no difference.
    nearly = bars.assign(amount=[1000.0, 2000.0, 3000.004, 10.0])
    assert minute(nearly)["bigorder_ret"] == minute(bars)["bigorder_ret"]


def test_down_single_amount():
    bars = bars_of(
        [9.0, 10.0, 9.5], open_=[9.0, 9.0, 10.0], minute=[0, 1, 2], amount=[100, 200, 600], num_trades=[1, 1, 2]
    )
    assert minute(bars)["down_single_amt_perc"] == pytest.approx((600 / 2) / (900 / 4))


def test_bars_without_counts_leave_only_their_factors_nan():
    close = 10 + np.sin(np.arange(240)) / 10
    found = minute(bars_of(close, volume=np.arange(1, 241), num_trades=np.nan))
    assert found[["bigorder_ret", "down_single_amt_perc", "corr_volume_item"]].isna().all()
    assert found.drop(["bigorder_ret", "down_single_amt_perc", "corr_volume_item"]).notna().all()


def test_a_previous_close_makes_bars_before_trading_zero_returns():
    close = 10 + np.sin(np.arange(60)) / 10
    late = bars_of(close, minute=np.arange(180, 240), open_=close)
    known = monitor_factors(late.assign(prev_close=9.0), None, None).loc["A"]
    unknown = monitor_factors(late, None, None).loc["A"]
    r = np.r_[0.0, close[1:] / close[:-1] - 1]
    assert unknown["intraday_skew"] == pytest.approx(stats.skew(r), rel=1e-9)
    assert known["intraday_skew"] == pytest.approx(stats.skew(np.r_[np.zeros(180), r]), rel=1e-9)
    assert math.isnan(unknown["improved_reversal"])
    assert known["improved_reversal"] == pytest.approx(close[-1] / 9.0 - 1)
    # The lake's rows of the bars before the first trade say the same as the column.
    lead = bars_of(np.full(180, 9.0), volume=np.zeros(180, int), num_trades=0)
    stated = monitor_factors(pd.concat([lead, late]), None, None).loc["A"]
    pd.testing.assert_series_equal(stated, known)


def test_a_bar_with_a_zero_price_is_set_aside():
    close = 10 + np.sin(np.arange(240)) / 10
    bars = bars_of(close)
    broken = bars.copy()
    broken.loc[7, "open"] = 0.0
    pd.testing.assert_series_equal(minute(broken), minute(bars.drop(index=7)))


ROW = ("A", "09:31:00.000", 1, 10.0, 100, 0, 0, 0)


def rows(*changes):
    """Trades one after another; each change is a dict of fields that differ from ROW."""
    names = ("symbol", "time", "seq", "price", "volume", "buy_order", "sell_order", "side")
    return [tuple((dict(zip(names, ROW, strict=True)) | {"seq": i} | c).values()) for i, c in enumerate(changes)]


def small_orders(n=20, start=100):
    """Trades of 1,000 yuan with order IDs of their own."""
    return [{"buy_order": start + i, "sell_order": start + n + i} for i in range(n)]


def test_big_orders_are_pooled_over_both_sides():
    big = [
        {"buy_order": 1, "sell_order": 500 + i, "volume": 1000, "side": 1, "price": 10.0 + i / 100} for i in range(3)
    ]
    day = rows(*small_orders(), *big)
    found = trade(day)
    amount = 20 * 1000 + sum(1000 * (10 + i / 100) for i in range(3))
    big_amount = sum(1000 * (10 + i / 100) for i in range(3))
    # The buy order of 30,000 yuan and the three sell orders of 10,000 yuan are larger than 40 orders of 1,000.
    assert found["bigorder_amt_perc"] == pytest.approx(2 * big_amount / (2 * amount))
    assert found["early_bigorder_buy_perc"] == pytest.approx(0.5)
    assert found["bigorder_ret2"] == pytest.approx(math.log(10.02 / 10.0))
    assert found["early_active_bigorder_ret"] == pytest.approx(math.log(10.02 / 10.0))
    assert found["early_active_buy_perc"] == 1.0
    buy, sell = big_amount**2, sum((1000 * (10 + i / 100)) ** 2 for i in range(3))
    assert found["concentration_diff"] == pytest.approx((buy - sell) / amount**2)
    # A threshold of five standard deviations leaves none.
    assert trade(day, big_order_std=5.0)["bigorder_amt_perc"] == 0


def test_orders_of_one_amount_are_never_big():
    found = trade(rows(*small_orders(30)))
    assert found["bigorder_amt_perc"] == 0
    assert math.isnan(found["early_bigorder_buy_perc"])


def test_numbers_of_zero_or_less_are_no_order_but_amount_counts():
    day = rows(*small_orders(), {"buy_order": 1, "sell_order": -3, "volume": 5000})
    found = trade(day)
    amount = 20 * 1000 + 50_000
    assert found["bigorder_amt_perc"] == pytest.approx(50_000 / (2 * amount))
    assert found["concentration_diff"] == pytest.approx(50_000**2 / amount**2)
    none = trade(rows(*[{"buy_order": 0, "sell_order": -1} for _ in range(5)]))
    assert none["bigorder_amt_perc"] == 0
    assert none["concentration_diff"] == 0


def test_the_opening_auction_is_in_the_day_not_the_early_session():
    auction = {"time": "09:25:00.000", "price": 9.0, "buy_order": 1, "volume": 5000, "side": 1}
    first = {"time": "09:30:00.000", "price": 9.9, "buy_order": 1, "sell_order": 2, "side": 1}
    later = {"time": "09:59:59.999", "price": 9.9, "side": -1}
    ten = {"time": "10:00:00.000", "price": 9.9, "side": -1}
    found = trade(
        rows(auction, first, later, ten, *[c | {"time": "10:30:00.000", "price": 9.9} for c in small_orders()])
    )
    assert found["early_active_buy_perc"] == pytest.approx(0.5)
    # The first early trade of the big order moves from the auction's price.
    assert found["early_active_bigorder_ret"] == pytest.approx(math.log(9.9 / 9.0))
    assert found["early_bigorder_buy_perc"] == 1.0


def test_a_trade_between_two_big_orders_counts_once():
    both = [{"buy_order": 1, "sell_order": 2, "volume": 5000, "price": p} for p in (10.0, 10.5)]
    found = trade(rows(*small_orders(), *both))
    assert found["bigorder_ret2"] == pytest.approx(math.log(10.5 / 10.0))


def test_auction_trades_have_no_active_side_whatever_the_column():
    walk = [
        {"time": f"09:{30 + i:02d}:30.000", "price": 10 + (i * 7 % 5) / 100, "side": 1 if i * 3 % 7 > 3 else -1}
        for i in range(20)
    ]
    plain = {"time": "09:25:00.000", "volume": 900_000}
    last = {"time": "15:00:00.000", "volume": 900_000}
    silent = trade(rows(plain, *walk, last))
    pd.testing.assert_series_equal(trade(rows(plain | {"side": 1}, *walk, last | {"side": -1})), silent)
    assert silent[["corr_netactivebuy_lastret", "corr_netactivebuy_nextret"]].notna().all()


def test_prices_run_in_sequence_order_not_in_time_or_row_order():
    day = rows(
        *small_orders(), *[{"buy_order": 1, "sell_order": 2, "volume": 5000, "price": p} for p in (10.0, 10.5, 10.2)]
    )
    assert trade(day)["bigorder_ret2"] == pytest.approx(math.log(10.2 / 10.0))
    pd.testing.assert_series_equal(trade(day[::-1]), trade(day))


@pytest.mark.parametrize(
    "aside", [{"price": 0.0}, {"price": -1.0}, {"volume": 0}, {"time": "15:05:00.000"}, {"time": "09:14:59.999"}]
)
def test_rows_that_do_not_count(aside):
    day = small_orders()
    extra = {"price": 12.0, "volume": 10**6, "buy_order": 1, "sell_order": 2, "side": 1} | aside
    pd.testing.assert_series_equal(trade(rows(*day, extra)), trade(rows(*day)))


def limit(side, volume, price=10.0, time="09:31:00.000", kind="limit", symbol="A"):
    return (symbol, time, 1, 1, side, price, volume, kind)


def test_orders_by_hand():
    buys, sells = [100, 200, 300, 500, 900], [100, 100, 100, 100, 700]
    day = [limit(1, v) for v in buys] + [limit(-1, v, time="10:00:00.000") for v in sells]
    noise = [limit(1, 10**6, kind="cancel"), limit(1, 0), limit(-1, 10**6, price=0.0)]
    noise += [limit(1, 10**6, time="15:00:01.000"), limit(1, 10**6, time="09:14:59.999")]
    found = order_factors(random_ticks.orders_frame(day + noise)).loc["A"]
    assert found["skew_order_diff"] == pytest.approx(stats.skew(buys) - stats.skew(sells))
    assert found["kurt_order_diff"] == pytest.approx(stats.kurtosis(buys) - stats.kurtosis(sells))
    assert found["early_kurt_order"] == pytest.approx(stats.kurtosis(buys))
    assert math.isnan(found["corr_buyorder_volume_price"])


def test_every_order_counts_and_only_limit_orders_are_correlated():
    volumes = np.arange(1, 13) * 100
    day = [limit(1, v, price=10 + v / 1e4) for v in volumes]
    market = [limit(1, 10**5, price=None, kind=k) for k in ("market", "own_best", "limit")]
    found = order_factors(random_ticks.orders_frame(day + market)).loc["A"]
    assert found["corr_buyorder_volume_price"] == pytest.approx(1.0)
    assert found["early_kurt_order"] == pytest.approx(stats.kurtosis([*volumes, 10**5, 10**5, 10**5]))
    edges = [
        limit(1, v, time=t)
        for v, t in zip((100, 200, 400, 800, 1600), ("09:15:00.000", "15:00:00.999") * 3, strict=False)
    ]
    both = order_factors(random_ticks.orders_frame(edges + [limit(-1, v * v) for v in range(1, 6)])).loc["A"]
    assert both["skew_order_diff"] == pytest.approx(
        stats.skew([100, 200, 400, 800, 1600]) - stats.skew([1, 4, 9, 16, 25])
    )


def test_intent_by_hand():
    trades = random_ticks.trades_frame(
        rows(
            {"time": "09:25:00.000", "volume": 700, "side": 1},
            {"time": "09:30:00.000", "volume": 300, "side": 1},
            {"time": "09:32:10.000", "volume": 100, "side": -1},
            {"time": "09:32:20.000", "volume": 100, "side": 0},
        )
    )
    orders = random_ticks.orders_frame(
        [
            limit(1, 1000, time="09:29:59.999"),  # in the opening auction: not in the early session
            limit(1, 1000, time="09:30:01.000"),
            limit(-1, 400, time="09:30:02.000"),
            limit(1, 200, time="09:32:00.000", kind="cancel"),
            limit(-1, 100, time="09:32:00.000", kind="cancel"),
            limit(-1, 100, time="09:32:00.000", kind="cancel", price=None),
            limit(1, 10**6, time="09:33:00.000", kind="market", price=None),
            limit(1, 10**6, time="10:00:00.000"),
        ]
    )
    found = monitor_factors(None, trades, orders).loc["A"]
    intent = np.zeros(30)
    intent[0] = 3000 + 10_000 - 4000
    intent[2] = -1000 - 2000 + 1000
    assert found["open_buy_intent_share"] == pytest.approx(intent.sum() / 5000)
    assert found["open_buy_intent_strength"] == pytest.approx(intent.mean() / intent.std())


def test_big_net_buying_by_hand():
    day = rows(
        *[c | {"time": "10:30:00.000"} for c in small_orders()],
        {"time": "09:30:00.000", "buy_order": 1, "volume": 5000},
        {"time": "09:31:00.000", "sell_order": 2, "volume": 4000},
        {"time": "09:31:00.000", "volume": 1000},
    )
    found = monitor_factors(None, random_ticks.trades_frame(day), None).loc["A"]
    net = np.zeros(30)
    net[:2] = 50_000, -40_000
    assert found["open_big_net_buy_share"] == pytest.approx(10_000 / 100_000)
    assert found["open_big_net_buy_strength"] == pytest.approx(net.mean() / net.std())


@pytest.mark.parametrize(
    ("time", "reversal", "tail"), [("09:25:00.000", 0.0, 0.0), ("15:00:00.000", 10.0 / 9.5 - 1, 1.0)]
)
def test_a_day_of_one_auction_alone(time, reversal, tail):
    trades = random_ticks.trades_frame(rows({"time": time, "buy_order": 1, "sell_order": 2}))
    bars = bars_from_trades(trades, {"A": 9.5})
    found = intraday_factors(trades, None, bars)
    twin.agree(found, twin.all_factors(found.columns, trades=trades, bars=bars))
    zero = ["bigorder_ret", "bigorder_amt_perc", "bigorder_ret2", "early_active_bigorder_ret", "concentration_diff"]
    assert (found.loc["A", zero] == 0).all()
    # Before the closing auction the bars carry the previous close.
    assert found.loc["A", "improved_reversal"] == pytest.approx(reversal)
    assert found.loc["A", "tail_volume_share"] == tail
    early = ["early_bigorder_buy_perc", "early_active_buy_perc", "open_big_net_buy_share", "open_big_net_buy_strength"]
    assert found.loc["A", early].isna().all()


def test_a_day_locked_at_the_limit():
    day = [
        {
            "time": f"{9 + (30 + i) // 60:02d}:{(30 + i) % 60:02d}:00.000",
            "price": 11.0,
            "volume": 100 * (1 + i % 3),
            "side": -1,
        }
        for i in range(90)
    ]
    trades = random_ticks.trades_frame(rows(*day))
    bars = bars_from_trades(trades, {"A": 10.0})
    found = intraday_factors(trades, None, bars)
    twin.agree(found, twin.all_factors(found.columns, trades=trades, bars=bars))
    flat = ["late_skew_ret", "down_vol_perc", "corr_ret_lastret", "corr_volume_amplitude", "intraday_skew"]
    assert found.loc["A", flat].isna().all()
    assert found.loc["A", "improved_reversal"] == 0
