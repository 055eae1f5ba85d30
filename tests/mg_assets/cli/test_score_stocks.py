"""Codes of a score table that the source never had: named by a run, refused where it is all of them."""

import pytest
import vendor_exports
import yaml

from mg_assets.cli.main import main
from mg_assets.settings import settings

FIRST, LAST = "2023-01-04", "2023-01-18"


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """What ``mg run --plan`` says of a signal with given stocks, on a market of 600000, 600001 and 000001."""
    made = vendor_exports.market(FIRST, LAST, 3)
    vendor_exports.baostock(made, tmp_path / "files")

    def planned(code: int, *stocks: str) -> tuple[str, str]:
        rows = [f"{day},{stock},0.5" for day in made.days.astype(str)[2:5] for stock in stocks]
        (tmp_path / "scores.csv").write_text("\n".join(["date,symbol,score", *rows]) + "\n")
        source = {"kind": "mapped", "root": str(tmp_path / "files"), "config": "baostock"}
        named = {"lake": str(tmp_path / "lake"), "source": source, "end_date": LAST, "catalog": [], "models": {},
                 "signals": {"mine": {"table": str(tmp_path / "scores.csv")}}, "portfolios": {},
                 "run": {"daily_from": FIRST, "until": LAST, "half_years": []}}  # fmt: skip
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump(named))
        monkeypatch.setenv("MG_SETTINGS", str(tmp_path / "settings.yaml"))
        settings.cache_clear()
        assert main(["run", "--plan"]) == code
        return capsys.readouterr()

    yield planned, sorted(made.symbols)
    settings.cache_clear()


def test_a_code_that_the_source_never_had_is_named(plan):
    planned, known = plan
    printed = planned(0, *known, "688981.SH").out
    assert "the source does not have 1 of its 4 stocks (688981.SH) on their days" in printed
    assert "warning" not in planned(0, *known).out


def test_stocks_are_looked_for_once_a_run(plan, monkeypatch):
    planned, known = plan
    calls = []
    monkeypatch.setattr("mg_assets.cli.plan.unknown_stocks", lambda scores, source: calls.append(1) or ["688981.SH"])
    assert "does not have 1 of its 3 stocks" in planned(0, *known).out
    assert len(calls) == 1


def test_scores_of_unknown_codes_alone_are_refused(plan):
    planned, _ = plan
    error = planned(2, "688981.SH", "688982.SH").err
    assert "the source has none of its 2 stocks (688981.SH, 688982.SH) on their days; check the codes" in error
