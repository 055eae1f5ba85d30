"""Exclusions: every reason, and every stock-day accounted for."""

import numpy as np
import pandas as pd
from evaluation_market import market

from mg_portfolio.evaluation.evaluate import (
    evaluate,
    tradable_next_day,
)
from mg_portfolio.evaluation.exclusions import factor_exclusions, universe_exclusions
from mg_portfolio.evaluation.tradable_universe import EXCLUSION_REASONS, exclusion_codes


def flags(seed=13, days=40, stocks=50):
    rng = np.random.default_rng(seed)
    listed_days = np.arange(days)[:, None] + rng.integers(-30, 200, stocks)[None, :]
    draw = lambda share: rng.random((days, stocks)) < share  # noqa: E731
    return np.maximum(listed_days, 0), draw(0.05), draw(0.05), draw(0.05), draw(0.6)


def test_reasons_explain_the_universe_and_add_up():
    listed_days, st, suspended, locked, member = flags()
    days = np.busday_offset("2023-01-03", np.arange(40), roll="forward")
    reasons = exclusion_codes(listed_days, st, suspended, locked, member)
    np.testing.assert_array_equal(reasons == 0, tradable_next_day(listed_days, st, suspended, locked, member))
    for d, s in np.ndindex(reasons.shape):
        tests = [
            listed_days[d, s] < 1,
            not member[d, s],
            st[d, s],
            listed_days[d, s] < 63,
            d == 39,
            d < 39 and suspended[d + 1, s],
            d < 39 and locked[d + 1, s],
        ]
        assert reasons[d, s] == (tests.index(True) + 1 if any(tests) else 0)
    symbols = np.array([f"{s:06d}.SZ" for s in range(50)], object)
    table = universe_exclusions(reasons, days, symbols, listed_days > 0, "some")
    counts = table.pivot_table(index="reason", columns="scope", values="count", aggfunc="sum")
    assert (counts["day"] == counts["stock"]).all()
    assert counts["day"].to_dict() == {EXCLUSION_REASONS[c]: (reasons == c).sum() for c in range(2, 8)}
    assert counts["day"].sum() + (reasons == 0).sum() == (listed_days > 0).sum()


def test_factor_exclusions_account_for_every_stock_day():
    signal, price, tradable, days = market(14)
    signal[10], signal[12], tradable[30] = np.nan, 1.0, False
    found = evaluate(signal, price, tradable, days, groups=5)
    counted = found.stocks[np.isfinite(found.rank_ic)].sum()
    assert sum(found.excluded.values()) + counted == tradable.sum()
    table = factor_exclusions({"f": found}, "all", [("g", "fewer than 30 days", 3)])
    rows = table[table["scope"] == "factor"].set_index(["name", "reason"])["count"]
    late = tradable[-6:] & np.isfinite(signal[-6:])
    assert rows["f", "return not known yet"] == late.sum()
    assert rows["f", "no signal"] == (tradable & ~np.isfinite(signal)).sum()
    assert rows["f", "flat that day"] == found.stocks[12]
    assert rows["g", "fewer than 30 days"] == 3
    skipped = table[table["scope"] == "rebalance"]
    assert skipped["date"].tolist() == [pd.Timestamp(days[10]), pd.Timestamp(days[30])]
    assert skipped["count"].tolist() == [1, 1]
    assert factor_exclusions({}).empty
