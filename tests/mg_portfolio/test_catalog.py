"""The catalog has the reports' limits, and a day's panels become the right problem."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mg_portfolio import ProblemError, optimize
from mg_portfolio.catalog import ALL_PORTFOLIOS, PORTFOLIOS, SERIES_69, SERIES_88, described, markdown, provenance
from mg_portfolio.optimization.build_problem import build_problem, on_axis
from mg_portfolio.optimization.constraints import violations
from mg_portfolio.report.published import published_rows


def day(n: int = 400, seed: int = 0, **new) -> dict:
    r = np.random.default_rng(seed)
    benchmark = np.where(np.arange(n) < 150, r.lognormal(0, 0.4, n), np.nan)
    given = {
        "score": r.standard_normal(n),
        "benchmark": benchmark,
        "holdings": np.nan_to_num(benchmark) / np.nansum(benchmark),
        "industry": r.integers(-1, 10, n),
        "styles": {"size": r.standard_normal(n), "valuation": r.standard_normal(n), "beta": r.standard_normal(n)},
        "symbols": np.array([f"{i:06d}.SZ" for i in range(n)], dtype=object),
    }
    return given | new


def test_series_72_states_its_turnover_two_way():
    for index in ("csi500", "csi1000", "csi300"):
        for two_way in (30, 40, 50) if index != "csi300" else (30,):
            spec = PORTFOLIOS[f"{index}_turnover{two_way}"]
            assert spec.turnover_limit == pytest.approx(two_way / 200)
            assert (spec.signal, spec.index, spec.member_floor) == ("fused", index, 0.8)
            assert (spec.stock_limit, spec.industry_limit, spec.limit_of("size")) == (0.008, 0.02, 0.2)
            assert np.isnan(spec.limit_of("valuation"))
            assert spec.costs.buy == spec.costs.sell == 0.002


def test_ai_portfolios_state_it_one_way():
    for index, size in (("csi500", 0.0), ("csi1000", 0.2)):
        spec = PORTFOLIOS[f"{index}_ai"]
        assert spec.turnover_limit == 0.3
        assert spec.member_floor is None
        assert [spec.limit_of(s) for s in ("size", "valuation", "beta")] == [size, 0.0, 0.8]
        assert spec.costs.buy + spec.costs.sell == pytest.approx(0.003)


def test_grid_and_series_69():
    assert len(SERIES_88) == 96
    name = "csi1000_80pct_ind_neutral_stock_1pct_output_ensemble3_biagru_10d"
    spec = SERIES_88[name]
    assert (spec.member_floor, spec.industry_limit, spec.stock_limit) == (0.8, 0.0, 0.01)
    assert spec.signal == "output_ensemble3_biagru_10d"
    relaxed, original = SERIES_69["csi500_lstm_relaxed"], SERIES_69["csi500_lstm_original"]
    assert (relaxed.stock_limit, relaxed.industry_limit, relaxed.limit_of("size")) == (0.02, 0.02, 0.2)
    assert (original.stock_limit, original.industry_limit, original.limit_of("size")) == (0.01, 0.01, 0.01)
    assert (relaxed.turnover_limit, original.turnover_limit) == (0.20, 0.15)
    assert original.costs.buy == original.costs.sell == 0.002
    assert len(SERIES_69) == 16
    for catalog in (PORTFOLIOS, SERIES_88, SERIES_69):
        assert all(key == spec.name for key, spec in catalog.items())
    assert len(ALL_PORTFOLIOS) == len(PORTFOLIOS) + 96 + 16


def test_every_portfolio_is_published_and_has_a_catalog_signal():
    from mg_models.catalog import signal_names

    printed = set(published_rows()["subject"])
    own = {"csi300_turnover30", "csi500_ai", "csi1000_ai"}  # ours, and the monitor's, printed as csi500 and csi1000
    for name, spec in ALL_PORTFOLIOS.items():
        assert spec.signal in signal_names()
        assert name in own or spec.subject in printed
        assert name.startswith(spec.index)


def test_styles_that_a_portfolio_limits():
    assert PORTFOLIOS["csi500_turnover30"].styles == ("size",)
    assert PORTFOLIOS["csi500_ai"].styles == ("size", "valuation", "reversal", "amount", "turnover", "beta")


@pytest.mark.parametrize("name", ["csi500_turnover30", "csi1000_ai"])
def test_a_day_becomes_a_problem_that_solves(name):
    given = day()
    p = build_problem(PORTFOLIOS[name], **given)
    s = optimize(p)
    assert s.status == "optimal"
    w = on_axis(p, s.weights, 400)
    assert w.shape == (400,)
    assert w.sum() == pytest.approx(1.0)
    assert not {k: v for k, v in violations(p, s.weights).items() if v > 1e-9}
    assert p.benchmark.sum() == pytest.approx(1.0)
    assert p.style_names == (("size",) if name == "csi500_turnover30" else ("size", "valuation", "beta"))


def test_stocks_without_a_score_are_not_bought():
    given = day()
    score, holdings = given["score"].copy(), given["holdings"].copy()
    score[[0, 1, 200, 201]] = np.nan  # two members, two others
    holdings[0], holdings[200] = 0.0, 0.002
    p = build_problem(
        PORTFOLIOS["csi500_turnover30"], **(given | {"score": score, "holdings": holdings / holdings.sum()})
    )
    assert 201 not in p.positions  # neither scored, nor in the index, nor held
    assert {0, 1, 200} <= set(p.positions.tolist())
    w = on_axis(p, optimize(p).weights, 400)
    before = holdings / holdings.sum()
    assert (w[[0, 1, 200]] <= before[[0, 1, 200]] + 1e-12).all()
    assert p.score[p.positions == 200] == np.nanmin(score)


def test_buyable_bars_purchases_only():
    given = day()
    barred = np.zeros(400, bool)
    p = build_problem(PORTFOLIOS["csi500_turnover30"], **given, buyable=~barred)
    best = int(p.positions[np.argmax(optimize(p).weights - p.holdings)])
    barred[best] = True
    p = build_problem(PORTFOLIOS["csi500_turnover30"], **given, buyable=~barred)
    assert on_axis(p, optimize(p).weights, 400)[best] <= given["holdings"][best] + 1e-12


def test_units_of_the_benchmark_do_not_matter():
    spec, given = PORTFOLIOS["csi500_turnover30"], day()
    a = optimize(build_problem(spec, **given))
    b = optimize(build_problem(spec, **(given | {"benchmark": given["benchmark"] * 100})))
    assert a.objective == pytest.approx(b.objective)


def test_missing_style_values_count_as_the_mean():
    given = day()
    size = given["styles"]["size"].copy()
    size[7] = np.nan
    p = build_problem(PORTFOLIOS["csi500_turnover30"], **(given | {"styles": {"size": size}}))
    assert p.styles[p.positions == 7] == 0.0


def test_panels_that_the_spec_needs_must_be_given():
    with pytest.raises(ProblemError, match=r"limits the style.* size"):
        build_problem(PORTFOLIOS["csi500_turnover30"], **day(styles={"beta": np.zeros(400)}))
    with pytest.raises(ProblemError, match="no stock had a weight in csi500"):
        build_problem(PORTFOLIOS["csi500_turnover30"], **day(benchmark=np.full(400, np.nan)))
    with pytest.raises(ProblemError, match=r"holdings had shape \(3,\)"):
        build_problem(PORTFOLIOS["csi500_turnover30"], **day(holdings=np.zeros(3)))
    p = build_problem(PORTFOLIOS["csi500_turnover30"], **day())
    from dataclasses import replace

    with pytest.raises(ProblemError, match="no positions"):
        on_axis(replace(p, positions=None), np.zeros(p.size), 400)


def test_every_field_is_printed_or_ours():
    """In exactly one list each; the name, the source and the published name are in none."""
    expected = {f.name for f in fields(PORTFOLIOS["csi500_ai"])} - {"name", "source", "published"}
    for spec in ALL_PORTFOLIOS.values():
        found = provenance(spec)
        named = [*found["printed"], *found["ours"]]
        assert len(named) == len(set(named)), spec.name
        assert expected <= set(named), spec.name
        assert {n for n in named if " " not in n} - expected <= {"exposures", "budget"}, spec.name
    assert "member_floor" in provenance(PORTFOLIOS["csi500_ai"])["ours"]
    assert all("meaning of valuation" in provenance(spec)["ours"] for spec in SERIES_88.values())
    assert "index" in provenance(PORTFOLIOS["csi300_turnover30"])["ours"]


def test_what_a_deployment_changes_of_a_portfolio_is_ours():
    changed = replace(PORTFOLIOS["csi500_turnover30"], stock_limit=0.02)
    assert provenance(changed)["ours"]["stock_limit"] == "set for this deployment; the catalog has 0.008"
    assert "- `stock_limit` 0.02: set for this deployment" in described(changed)
    own = replace(changed, name="mine")
    assert provenance(own)["printed"] == {}
    assert "- `stock_limit` 0.02: a portfolio of one's own" in described(own)


def test_the_portfolios_page_is_that_of_the_lists():
    page = Path(__file__).parents[2] / "docs" / "catalog" / "portfolios.md"
    assert page.read_text(encoding="utf-8") == markdown(), "docs/catalog/portfolios.md is out of date: run make docs"
