"""The check of a portfolio's weights against its definitions, stock by stock, and on the edge of each limit."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import SuiteRun, View
from mg_assets.market.schema import SCHEMAS
from mg_assets.quality.suite import Measures
from mg_assets.quality.weights import EXACT, _exposures, _inputs, _solution, _tradability, measure_weights

LIMITS = {"stock": 0.01, "members": 0.9, "industry": 0.004, "size": 0.05, "styles": {"beta": 0.1}, "turnover": 0.1}
RELAXED = {"stock_limit": 0.002, "members": 0.01, "industry[b]": 0.003, "style[size]": 0.02, "style[beta]": 0.03,
           "turnover": 0.04}  # fmt: skip


def weights(seed: int) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    frame = pd.DataFrame({name: r.dirichlet(np.full(40, 0.8)) for name in ("weight", "benchmark", "holdings")})
    frame["symbol"] = [f"{600000 + i}.SH" for i in range(40)]
    for name, share in (("member", 0.6), ("suspended", 0.15), ("limit_up", 0.3), ("limit_down", 0.3), ("barred", 0.2)):
        frame[name] = r.random(40) < share
    frame["industry"] = r.choice(["a", "b", None], 40)
    for name in ("size", "beta"):
        frame[name] = np.where(r.random(40) < 0.2, np.nan, r.standard_normal(40))
    return frame


def measured(frame: pd.DataFrame, limits: dict, relaxed: dict) -> dict[str, float]:
    measures = Measures()
    symbol = frame["symbol"].to_numpy(object)
    _tradability(measures, frame, symbol, frame["barred"].to_numpy(), limits, relaxed)
    _exposures(measures, frame, limits, relaxed)
    return measures.values


def by_hand(frame: pd.DataFrame, limits: dict, relaxed: dict) -> dict[str, float]:
    names = [
        "suspended_moved",
        "limit_up_bought",
        "limit_down_sold",
        "barred_bought",
        "stock_excess",
        "industry_excess",
    ]
    worst = dict.fromkeys(names, 0.0)

    def seen(name: str, amount: float) -> None:
        worst[name] = max(worst[name], amount)

    tilts: dict[str, float] = {}
    size = beta = traded = members = 0.0
    for s in frame.itertuples():
        moved, away = s.weight - s.holdings, s.weight - s.benchmark
        outside = s.suspended
        if s.suspended:
            seen("suspended_moved", abs(moved))
        else:
            for flag, name, amount in (
                (s.limit_up, "limit_up_bought", moved),
                (s.barred, "barred_bought", moved),
                (s.limit_down, "limit_down_sold", -moved),
            ):
                if flag:
                    seen(name, amount)
            outside = (s.limit_up or s.barred) and s.holdings < s.benchmark - limits["stock"]
            outside = outside or (s.limit_down and s.holdings > s.benchmark + limits["stock"])
        if not outside:
            seen("stock_excess", abs(away) - limits["stock"] - relaxed.get("stock_limit", 0.0))
        industry = s.industry if isinstance(s.industry, str) else "unknown"
        tilts[industry] = tilts.get(industry, 0.0) + away
        size += 0.0 if np.isnan(s.size) else s.size * away
        beta += 0.0 if np.isnan(s.beta) else s.beta * away
        traded += abs(moved) / 2
        members += s.weight * s.member
    for name, tilt in tilts.items():
        seen("industry_excess", abs(tilt) - limits["industry"] - relaxed.get(f"industry[{name}]", 0.0))
    return worst | {
        "members_excess": max(limits["members"] - members - relaxed.get("members", 0.0), 0.0),
        "size_excess": max(abs(size) - limits["size"] - relaxed.get("style[size]", 0.0), 0.0),
        "style_excess": max(abs(beta) - limits["styles"]["beta"] - relaxed.get("style[beta]", 0.0), 0.0),
        "turnover_excess": max(traded - limits["turnover"] - relaxed.get("turnover", 0.0), 0.0),
    }


@pytest.mark.parametrize("relaxed", [{}, RELAXED], ids=["plain", "relaxed"])
@pytest.mark.parametrize("seed", range(5))
def test_measures_are_the_definitions(seed, relaxed):
    frame = weights(seed)
    expected = by_hand(frame, LIMITS, relaxed)
    assert sum(v > 0 for v in expected.values()) > 7
    assert measured(frame, LIMITS, relaxed) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("flag", "holdings", "bound"),
    [
        ("limit_up", 0.125, False), ("limit_up", 0.25, True), ("limit_up", 0.875, True),
        ("barred", 0.125, False), ("barred", 0.25, True),
        ("limit_down", 0.875, False), ("limit_down", 0.75, True), ("limit_down", 0.125, True),
        ("suspended", 0.5, False), ("member", 0.125, True), ("member", 0.875, True),
    ],
)  # fmt: skip
def test_the_band_binds_where_a_stock_can_come_back(flag, holdings, bound):
    """A stock of benchmark weight 0.5 at 0 or 1: 0.25 beyond a band of 0.25, unless it is locked outside of it."""
    flags = dict.fromkeys(("member", "suspended", "limit_up", "limit_down", "barred"), False) | {flag: True}
    row = {"symbol": "600000.SH", "weight": float(holdings > 0.5), "benchmark": 0.5, "holdings": holdings}
    frame = pd.DataFrame([row | flags | {"industry": "a"}])
    assert measured(frame, {"stock": 0.25}, {})["stock_excess"] == (0.25 if bound else 0.0)


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("relaxed", [{}, RELAXED], ids=["plain", "relaxed"])
def test_a_stored_partition_is_measured_by_its_metadata(tmp_path, limited, relaxed):
    frame, lake = weights(3).drop(columns="barred"), Lake(tmp_path)
    frame["score"] = np.where(np.arange(40) % 7 == 0, np.nan, 1.0)
    limits = LIMITS if limited else {}
    known = {"decided": "2020-03-06", "traded": "2020-03-09", "status": "relaxed" if relaxed else "optimal"}
    void = {"unknown_inputs": {"style[size]": {"stocks": 40, "of": 40}}}
    lake.write(
        "any_weights", "2020-03-06", frame.sort_values("symbol"), known | void | {"limits": limits, "relaxed": relaxed}
    )
    special = pd.DataFrame({"symbol": frame["symbol"][::3], "st": np.arange(14) % 2 == 0})  # the others are not listed
    reference = pa.Table.from_pylist(special.to_dict("records"), schema=SCHEMAS["reference"])
    lake.write("reference", "2020-03-06", reference)
    measures = Measures()
    measure_weights(View(SuiteRun(lake, "any_weights", []), "2020-03-06"), measures)
    barred = frame["score"].isna() | frame["symbol"].isin(special["symbol"][special["st"]])
    expected = by_hand(frame.assign(barred=barred), LIMITS, relaxed)
    kept = [
        n
        for n in expected
        if limited or n in ("suspended_moved", "limit_up_bought", "limit_down_sold", "barred_bought")
    ]
    assert {n: measures.values.get(n) for n in kept} == pytest.approx({n: expected[n] for n in kept}, abs=1e-15)
    assert ("stock_excess" in measures.values) == ("style_excess" in measures.values) == limited
    found = {n: measures.values[n] for n in ("no_solution", "relaxed_limits", "traded_early", "void_limits")}
    assert found == {"no_solution": 0, "relaxed_limits": len(relaxed), "traded_early": 0, "void_limits": 1}
    assert max(measures.values["budget_gap"], measures.values["benchmark_gap"]) < EXACT
    assert measures.examples["budget_gap"][0]["stocks_held"] == (frame["weight"] > EXACT).sum()


def test_a_style_is_read_where_it_is_held_or_limited(tmp_path):
    """A limited style that the partition lacks is a missing column; one that nothing limits need not be there."""
    frame = weights(3).drop(columns=["barred", "beta"]).assign(score=1.0).sort_values("symbol")
    missing = {}
    for table, styles in (("limited", {"beta": 0.1}), ("free", {})):
        lake = Lake(tmp_path / table)
        lake.write("any_weights", "2020-03-06", frame, {"status": "optimal", "limits": {"styles": styles}})
        measures = Measures()
        measure_weights(View(SuiteRun(lake, "any_weights", []), "2020-03-06"), measures)
        missing[table] = measures.values["schema_faults"]
    assert missing == {"limited": 1.0, "free": 0.0}


def test_what_is_not_limited_is_not_measured():
    found = measured(weights(0), {"styles": {"beta": None}}, {})
    assert set(found) == {"suspended_moved", "limit_up_bought", "limit_down_sold", "barred_bought"}


def solution(**facts) -> dict[str, float]:
    measures = Measures()
    _solution(measures, {"status": "optimal"} | facts, {k: v for k, v in (facts.get("relaxed") or {}).items()})
    return measures.values


def test_measures_of_a_solution():
    assert solution() == {"no_solution": 0.0, "relaxed_limits": 0.0}
    assert solution(status="relaxed", relaxed={"turnover": 2 * EXACT, "members": EXACT})["relaxed_limits"] == 1.0
    assert solution(status="infeasible")["no_solution"] == 1.0
    assert solution(largest_violation=3e-7)["largest_violation"] == 3e-7
    assert solution(largest_violation=float("nan"))["largest_violation"] == np.inf
    assert solution(decided="2020-03-06", traded="2020-03-09")["traded_early"] == 0.0
    assert solution(decided="2020-03-06", traded="2020-03-06")["traded_early"] == 1.0


def test_limits_without_their_input():
    measures = Measures()
    unknown = {"style[size]": (40, 40), "industry": (5, 40), "members": (10, 40), "beta": (30, 30)}
    _inputs(
        measures,
        {
            "unknown_inputs": {name: {"stocks": stocks, "of": of} for name, (stocks, of) in unknown.items()},
            "index_weights": {"of": "2019-12-02", "age": 46},
        },
    )
    assert measures.values == {"void_limits": 2.0, "unknown_share": 0.25, "index_weights_age": 46.0}
    assert measures.examples["void_limits"] == [{"limits": "style[size], beta", "stocks": 40}]
    assert measures.examples["unknown_share"] == [{"limit": "members", "stocks": 10, "of": 40}]
    assert measures.examples["index_weights_age"] == [{"of": "2019-12-02"}]
    assert measures.notes == []


@pytest.mark.parametrize(("weights", "notes"), [({}, 1), (None, 0)])
def test_index_weights_of_an_unknown_date_are_noted(weights, notes):
    measures = Measures()
    _inputs(measures, {"index_weights": weights})
    assert measures.values == {"void_limits": 0.0}
    assert len(measures.notes) == notes


def test_a_weight_that_is_no_number_is_an_excess_without_bound():
    frame = weights(0).assign(suspended=False, limit_up=False, limit_down=False, barred=False)
    frame.loc[3, "weight"] = np.nan
    found = measured(frame, LIMITS, {})
    assert {name for name, value in found.items() if value == np.inf} == {
        "stock_excess", "industry_excess", "size_excess", "style_excess", "turnover_excess", "members_excess",
    } - ({"members_excess"} if not frame["member"].iat[3] else set())  # fmt: skip
