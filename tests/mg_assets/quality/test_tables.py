"""Each rule of reference, factors, labels, predictions and weights: a partition that breaks just it."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.factors.registry import ALL34
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.quality import SUITES, run_suite
from mg_assets.quality.reference import ODD_STOCKS

NAME = "weights_csi500_turnover30"


def put(column, value, row=7):
    def change(frame):
        out = frame.copy()
        values = out[column].to_numpy(dtype=object).copy()
        values[row] = value(values[row]) if callable(value) else value
        out[column] = pd.Series(values, index=out.index).infer_objects()
        return out

    return change


def both(*changes):
    def change(frame):
        for one in changes:
            frame = one(frame)
        return frame

    return change


def drop_rows(share):
    return lambda f: f.iloc[: int(len(f) * share)]


def again(frame):
    """A second row of a stock, outside every index."""
    row = frame.iloc[[6]].assign(csi300_member=False, csi300_weight=0.0)
    return pd.concat([frame.iloc[:7], row, frame.iloc[7:]])


DAY = pd.Timestamp("2024-01-02").date()
REFERENCE = {
    "schema": (lambda f: f.drop(columns="pb"), {"schema_faults"}),
    "null symbol": (put("symbol", None, 0), {"nulls", "bad_symbol"}),
    "twice": (again, {"repeated"}),
    "order": (lambda f: f.iloc[::-1], {"unsorted"}),
    "not listed": (put("list_date", DAY), {"not_listed"}),
    "delisted": (put("delist_date", pd.Timestamp("2019-01-02").date()), {"delisted"}),
    "factor": (put("adj_factor", -1.0), {"bad_factor"}),
    "shares": (put("float_shares", 0.0), {"bad_shares"}),
    "price": (both(put("prev_close", 0.0), put("up_limit", None), put("down_limit", None)), {"bad_prev_close"}),
    "limits": (put("up_limit", 0.01), {"limits_crossed"}),
    "weights": (lambda f: f.assign(csi500_weight=f["csi500_weight"] * 0.9), {"weight_sum_gap"}),
    "weight above one": (both(put("csi500_weight", lambda w: w + 2), put("csi500_weight", lambda w: w - 2, 4)),
                         {"weight_range"}),
    "outsider": (both(put("csi500_weight", 0.005, 0), put("csi500_weight", lambda w: w - 0.005, 1)),
                 {"weight_of_outsider"}),
    "heavy outsider": (both(put("csi500_weight", 0.1, 0), put("csi500_weight", lambda w: w - 0.1, 1)),
                       {"weight_of_outsider", "outside_weight"}),
    "two indices": (put("csi1000_member", True, 0), {"in_two_indices", "members_ratio_high"}),
    "members lost": (lambda f: f.assign(csi300_member=f["csi300_member"] & (f.index > 9), csi300_weight=None),
                     {"members_ratio_low"}),
    "rows lost": (drop_rows(0.3), {"rows_ratio", "symbols_ratio", "members_ratio_low", "weight_sum_gap"}),
}  # fmt: skip
SIGNAL = {
    "schema": (lambda f: f.rename(columns={"signal": "s"}), {"schema_faults"}),
    "NaN": (put("signal", None), {"not_finite"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), 6])], {"repeated"}),
}
FACTORS = {
    "schema": (lambda f: f.drop(columns="intraday_skew"), {"schema_faults"}),
    "text": (lambda f: f.assign(intraday_skew="x"), {"schema_faults"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), 6])], {"repeated"}),
    "infinite": (put("kurt_order_diff", np.inf), {"infinite"}),
    "correlation": (put("corr_ret_lastret", 1.5), {"outside_range"}),
    "share": (put("volume_perc3", -0.1), {"outside_range"}),
    "nulls": (lambda f: f.assign(bigorder_ret=np.nan), {"null_share_rise"}),
    "stocks lost": (drop_rows(0.3), {"no_data_share", "rows_ratio", "symbols_ratio"}),
    "unknown": (put("symbol", "688999.SH", 22), {"unknown_symbols"}),
}
SECTION = {
    "schema": (lambda f: f.drop(columns="early_kurt_order"), {"schema_faults"}),
    "NaN": (put("early_kurt_order", np.nan), {"not_finite", "mean_gap"}),
    "mean": (lambda f: f.assign(early_kurt_order=f["early_kurt_order"] + 0.01), {"mean_gap"}),
    "deviation": (lambda f: f.assign(early_kurt_order=f["early_kurt_order"] * 1.01), {"deviation"}),
    "filled": (lambda f: f.assign(early_kurt_order=0.0), {"zero_share_rise"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), 6])]
              .pipe(lambda g: g.assign(**{c: 0.0 for c in g.columns if c != "symbol"})),
              {"repeated", "zero_share_rise"}),
}  # fmt: skip
LABELS = {
    "schema": (lambda f: f.drop(columns="ret_20"), {"schema_faults"}),
    "infinite": (put("ret_5", np.inf), {"infinite"}),
    "lost all": (put("ret_10", -1.0), {"outside_range"}),
    "unit": (put("ret_20", 12.0), {"outside_range"}),
    "unknown 5": (lambda f: f.assign(ret_5=np.nan), {"finite_share_5"}),
    "unknown 20": (lambda f: f.assign(ret_20=f["ret_20"].where(f.index % 5 == 0)), {"finite_share_20"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), 6])], {"repeated"}),
}
SCORES = {
    "schema": (lambda f: f.rename(columns={"score": "s"}), {"schema_faults"}),
    "infinite": (put("score", np.inf), {"infinite"}),
    "NaN": (lambda f: f.assign(score=f["score"].where(f.index > 15)), {"finite_share"}),
    "constant": (lambda f: f.assign(score=0.7), {"constant"}),
    "symbol": (put("symbol", "SH600000"), {"bad_symbol", "unsorted"}),
    "rows lost": (drop_rows(0.3), {"rows_ratio", "symbols_ratio"}),
}
FACTS = {"limits": {"stock": 0.008, "members": 0.8, "industry": 0.02, "size": 0.2, "turnover": 0.3}}


def move(buy, sell, amount=0.001):
    return both(put("weight", lambda w: w + amount, buy), put("weight", lambda w: w - amount, sell))


def sized(frame):
    """Size exposures far apart in the two stocks that the portfolio tilts."""
    return frame.assign(size=np.where(frame["weight"] > frame["benchmark"], 100.0, 0.0))


def outsiders(frame):
    """A quarter of the weight outside the index, no band in the way."""
    free = ~(frame["member"] | frame["suspended"])
    weight = frame["weight"] * 0.75 + np.where(free, 0.25 / free.sum(), 0)
    return frame.assign(weight=weight)


def other_industry(frame):
    """The bought stock is an industry of its own."""
    tilted = frame["weight"] > frame["benchmark"]
    return move(1, 4, 0.003)(frame).assign(industry=np.where(tilted, "alone", frame["industry"]))


def limits(**changed):
    return {"limits": {**FACTS["limits"], **changed}}


# members are the rows 1, 4, 7, ...; the stocks bought and sold by the fixture are 1 and 4
WEIGHTS = {
    "schema": (lambda f: f.drop(columns="member"), {"schema_faults"}),
    "twice": (lambda f: f.iloc[np.sort(np.r_[np.arange(len(f)), 0])], {"repeated"}),
    "budget": (put("weight", lambda w: w + 2e-6), {"budget_gap"}),
    "benchmark": (lambda f: f.assign(benchmark=f["benchmark"] * 0.99), {"benchmark_gap"}, limits(members=None)),
    "negative": (both(put("weight", -2e-6, 0), put("weight", lambda w: w + 2e-6)), {"negative_weight"}),
    "band": (move(1, 4, 0.0041), {"stock_excess"}),
    "suspended": (put("suspended", True, 1), {"suspended_moved"}),
    "limit up": (put("limit_up", True, 1), {"limit_up_bought"}),
}
MORE_WEIGHTS = {
    "limit down": (put("limit_down", True, 4), {"limit_down_sold"}),
    "no score": (put("score", None, 1), {"barred_bought"}),
    "members": (outsiders, {"members_excess"}, limits(stock=None, industry=None, size=None)),
    "industry": (other_industry, {"industry_excess"}, limits(industry=0.001)),
    "size": (sized, {"size_excess"}),
    "turnover": (lambda f: f, {"turnover_excess"}, limits(turnover=0.003)),
    "infeasible": (lambda f: f, {"no_solution"}, {"status": "infeasible"}),
    "violation": (lambda f: f, {"largest_violation"}, {"largest_violation": 2e-6}),
}
LAST_WEIGHTS = {
    "traded early": (lambda f: f, {"traded_early"}, {"traded": "2020-03-06"}),
    "relaxed": (lambda f: f, {"relaxed_limits"},
                {**limits(turnover=0.003), "status": "relaxed", "relaxed": {"turnover": 0.001}}),
    "relaxed too little": (lambda f: f, {"relaxed_limits", "turnover_excess"},
                           {**limits(turnover=0.002), "status": "relaxed", "relaxed": {"turnover": 0.001}}),
    "relaxed industry": (other_industry, {"relaxed_limits"},
                         {**limits(industry=0.001), 
                          "relaxed": {"industry[alone]": 0.006, "industry[industry1]": 0.006}}),
    "relaxed size": (sized, {"relaxed_limits"}, {"relaxed": {"style[size]": 9.0}}),
    "void": (lambda f: f, {"void_limits"}, {"unknown_inputs": {"style[size]": {"stocks": 40, "of": 40}}}),
    "partly void": (lambda f: f, {"unknown_share"}, {"unknown_inputs": {"industry": {"stocks": 5, "of": 40}}}),
    "old index": (lambda f: f, {"index_weights_age"}, {"index_weights": {"of": "2019-12-02", "age": 46}}),
    "NaN weight": (put("weight", None), {"nulls", "budget_gap", "negative_weight", "stock_excess", "members_excess",
                                         "industry_excess", "size_excess", "turnover_excess"}),
}  # fmt: skip
WARNS = {"rows_ratio", "symbols_ratio", "no_data_share", "unknown_symbols", "null_share_rise", "zero_share_rise",
         "members_ratio_low", "members_ratio_high", "relaxed_limits", "drifted_share", "psi_max",
         "void_limits", "unknown_share", "index_weights_age",
         "weight_of_outsider"}  # fmt: skip
GROUPS = [
    ("reference", REFERENCE, None), ("planted_signal", SIGNAL, None), ("intraday_factors", FACTORS, None),
    ("factor_inputs", SECTION, None), ("factor_scores", SECTION, None), ("labels", LABELS, None),
    ("fused", SCORES, None),
    (NAME, WEIGHTS, "weeks"), (NAME, MORE_WEIGHTS, "weeks"), (NAME, LAST_WEIGHTS, "weeks"),
]  # fmt: skip


@pytest.fixture(scope="module")
def reported(broken, clean):
    return [broken(t, breaks, None if keys is None else clean.keys(t)) for t, breaks, keys in GROUPS]


@pytest.mark.parametrize(
    ("group", "name"),
    [(i, n) for i, (_, breaks, _) in enumerate(GROUPS) for n in breaks],
    ids=lambda v: v if isinstance(v, str) else GROUPS[v][0],
)
def test_each_broken_rule_fails_its_own_check(reported, group, name):
    found = reported[group][name]
    assert {row["measure"] for row in found} == GROUPS[group][1][name][1]
    warns = WARNS | (set(ODD_STOCKS) if GROUPS[group][0] == "reference" else set())
    assert all(row["blocking"] == (row["measure"] not in warns) for row in found)


@pytest.mark.parametrize(
    ("column", "value", "measure"),
    [
        ("list_date", pd.Timestamp("2021-01-04").date(), "not_listed_share"),
        ("adj_factor", -1.0, "bad_factor_share"),
        ("up_limit", 0.01, "limits_crossed_share"),
        ("csi1000_member", True, "in_two_indices_share"),
    ],
)
def test_what_many_stocks_contradict_blocks(lake, column, value, measure):
    key = lake.keys("reference")[3]
    lake.write("reference", key, lake.day("reference", key).assign(**{column: value}))
    outcomes = run_suite("reference", lake, [key])
    assert measure in {row["measure"] for o in outcomes if o.blocking for row in o.bad}


@pytest.mark.parametrize(
    "table",
    ["reference", "planted_signal", "intraday_factors", "factor_inputs", "factor_scores", "labels", "fused", NAME],
)
def test_valid_partitions_pass(clean, table):
    outcomes = run_suite(table, clean, clean.keys(table))
    assert [o.name for o in outcomes] == [c.name for c in SUITES["weights" if table == NAME else table].checks]
    assert [(o.name, o.bad) for o in outcomes if not o.passed] == []


def test_special_treatment_bars_buying(lake):
    key = lake.keys(NAME)[2]
    weights, facts = lake.day(NAME, key), lake.metadata(NAME, key)
    decided = facts["decided"]
    reference = lake.day("reference", decided)
    lake.write("reference", decided, reference.assign(st=np.arange(len(reference)) == 1))
    failed = {o.name: o for o in run_suite(NAME, lake, [key]) if not o.passed}
    assert list(failed) == ["tradability"]
    assert failed["tradability"].bad[0]["symbol"] == weights["symbol"].iat[1]


def test_a_locked_stock_may_stay_outside_the_band(lake):
    key = lake.keys(NAME)[2]
    frame = lake.day(NAME, key).assign(holdings=0.0, limit_up=lambda f: f.index == 1)
    rest = frame.index == 7
    frame["weight"] = np.where(frame.index == 1, 0.0, frame["benchmark"]) + np.where(rest, frame["benchmark"].iat[1], 0)
    facts = {**lake.metadata(NAME, key), "limits": {"stock": 0.008}}
    lake.write(NAME, key, frame, facts)
    failed = {o.name: o for o in run_suite(NAME, lake, [key]) if not o.passed}
    assert {r["symbol"] for r in failed.pop("stock_limit").bad} == {frame["symbol"].iat[7]}
    assert not failed


@pytest.mark.parametrize(
    ("days", "checks", "passed"), [(22, 3, False), (40, 3, True), (22, 1, True)], ids=["few", "enough", "closed form"]
)
def test_few_days_that_stop_a_training_are_named(tmp_path, days, checks, passed):
    lake = Lake(tmp_path)
    curve = pd.DataFrame({"seed": [1] * checks, "rank_ic": 0.1})
    lake.write("lf_multitask_model", "2020H1", curve, {"recipe": "x", "validation_days": days})
    found = {o.name: o for o in run_suite("lf_multitask_model", lake, ["2020H1"], light=True)}["validation_days"]
    assert (found.passed, found.blocking) == (passed, False)
    assert [row["observed"] for row in found.bad] == ([] if passed else [days])


def test_an_empty_week_is_not_applicable(lake):
    key = lake.keys(NAME)[2]
    empty = pd.DataFrame({c: pd.Series(dtype="str" if c == "symbol" else float) for c in lake.day(NAME, key).columns})
    lake.write(NAME, key, empty, {"recipe": "x"})
    assert all(o.passed for o in run_suite(NAME, lake, [key]))


def test_labels_whose_exit_is_not_in_the_lake_may_be_null(lake):
    days = lake.keys("labels")
    for day in days[-21:]:
        lake.write("labels", day, lake.day("labels", day).assign(ret_20=np.nan))
    assert all(o.passed for o in run_suite("labels", lake, days))
    lake.write("labels", days[-22], lake.day("labels", days[-22]).assign(ret_20=np.nan))
    failed = [o for o in run_suite("labels", lake, days) if not o.passed]
    assert [(o.name, o.blocking, o.observed["bad_partitions"]) for o in failed] == [("finite_share", True, [days[-22]])]


def test_scores_made_of_the_label_fail_the_leakage_check(lake):
    """0.25 of the label among noise is a superb signal; the label itself is a leak."""
    rng = np.random.default_rng(0)
    days = lake.keys("fused")[-30:]
    for mix, passed in ((0.15, True), (0.9, False)):
        for day in days:
            label = lake.day("labels", day)["ret_10"] / 0.03
            score = mix * label + (1 - mix) * rng.normal(size=len(label))
            lake.write("fused", day, lake.day("fused", day).assign(score=score))
        leakage = {o.name: o for o in run_suite("fused", lake, days[-5:])}["leakage"]
        assert (leakage.passed, leakage.blocking) == (passed, True)
    assert leakage.bad[0]["label"] == "ret_10"
    reversed_sign = days[-1]
    for day in days:
        frame = lake.day("fused", day)
        lake.write("fused", day, frame.assign(score=-frame["score"]))
    assert not {o.name: o for o in run_suite("fused", lake, [reversed_sign])}["leakage"].passed


def test_a_high_rank_ic_of_one_month_passes_the_leakage_check(tmp_path):
    """Twenty neighbouring days share their 20-day return: what a score does with it is one observation."""
    lake, rng = Lake(tmp_path), np.random.default_rng(1)
    days = [str(d) for d in trading_days("2022-01-04", "2022-09-30")]
    symbols = pd.Series([f"{600000 + i}.SH" for i in range(200)])
    walk = rng.normal(size=(len(days) + 22, 200)).cumsum(axis=0)
    month = walk[121] - walk[101]  # the 20-day return of day 100
    for d, day in enumerate(days):
        returns = {f"ret_{h}": walk[d + 1 + h] - walk[d + 1] for h in (5, 10, 20)}
        lake.write("labels", day, pd.DataFrame({"symbol": symbols, **returns}))
        luck = month * (90 <= d < 110)
        lake.write("fused", day, pd.DataFrame({"symbol": symbols, "score": luck + 6 * rng.normal(size=200)}))
    found = {o.name: o for o in run_suite("fused", lake, days[110:150])}["leakage"]
    assert found.passed, found.bad
    assert found.observed["measures"]["rank_ic_mean"][1] > 0.1
    for d, day in enumerate(days[70:150], start=70):
        leak = walk[d + 21] - walk[d + 1]
        lake.write("fused", day, pd.DataFrame({"symbol": symbols, "score": leak + 6 * rng.normal(size=200)}))
    assert not {o.name: o for o in run_suite("fused", lake, days[150:])}["leakage"].passed


@pytest.mark.parametrize(("stocks", "passed"), [(30, True), (300, False)])
def test_few_stocks_may_have_a_high_rank_ic_by_luck(tmp_path, stocks, passed):
    """A correlation of 0.36 on 30 stocks over four labels' lengths is within chance; on 300 it is not."""
    lake, rng = Lake(tmp_path), np.random.default_rng(5)
    symbols = pd.Series([f"{600000 + i}.SH" for i in range(stocks)])
    for day in (str(d) for d in trading_days("2022-01-04", "2022-02-28")):
        label = rng.normal(size=stocks)
        score = 0.4 * label + np.sqrt(1 - 0.4**2) * rng.normal(size=stocks)
        lake.write(
            "labels", day, pd.DataFrame({"symbol": symbols, **dict.fromkeys(("ret_5", "ret_10", "ret_20"), label)})
        )
        lake.write("fused", day, pd.DataFrame({"symbol": symbols, "score": score}))
    leakage = {o.name: o for o in run_suite("fused", lake, lake.keys("fused")[-1:])}["leakage"]
    assert leakage.passed is passed


def test_leakage_needs_labels(lake):
    day = lake.keys("fused")[3]  # four scored days are too few
    assert {o.name: o for o in run_suite("fused", lake, [day])}["leakage"].observed["note"] == "not applicable"


def test_drift_warns_when_many_factors_move(tmp_path):
    lake, rng = Lake(tmp_path), np.random.default_rng(1)
    symbols = [f"{i:06d}.SZ" for i in range(1, 81)]
    days = [f"2020-01-{d:02d}" for d in range(1, 21)]
    for day in days:
        values = {n: rng.uniform(0.3, 0.6, 80) for n in ALL34}
        lake.write("intraday_factors", day, pd.DataFrame({"symbol": symbols, **values}))
    assert all(o.passed for o in run_suite("intraday_factors", lake, days))
    moved = lake.day("intraday_factors", days[-1])
    some = list(ALL34[:5])
    lake.write("intraday_factors", days[-1], moved.assign(**{n: moved[n] * 0.5 for n in some}))
    outcome = {o.name: o for o in run_suite("intraday_factors", lake, days[-1:])}["drift"]
    assert outcome.passed  # 5 of 34 is under a quarter
    lake.write("intraday_factors", days[-1], moved.assign(**{n: moved[n] * 0.5 for n in ALL34[:12]}))
    outcome = {o.name: o for o in run_suite("intraday_factors", lake, days[-1:])}["drift"]
    assert (outcome.passed, outcome.blocking) == (False, False)
    assert outcome.bad[0]["most"].split(", ")[0] in ALL34[:12]


def test_a_planted_signal_must_be_a_z_score(tmp_path):
    lake = Lake(tmp_path)
    symbols = [f"{i:06d}.SZ" for i in range(1, 41)]
    signals = {"2020-01-02": np.linspace(-2, 2, 40), "2020-01-03": np.linspace(1, 5, 40), "2020-01-06": np.zeros(40),
               "2020-01-07": np.linspace(-9, 9, 40)}  # fmt: skip
    for day, signal in signals.items():
        lake.write("planted_signal", day, pd.DataFrame({"symbol": symbols, "signal": signal}))
    outcome = {o.name: o for o in run_suite("planted_signal", lake, list(signals))}["values"]
    assert [(r["partition"], r["measure"]) for r in outcome.bad] == [
        ("2020-01-03", "mean_gap"), ("2020-01-07", "deviation")]  # fmt: skip
