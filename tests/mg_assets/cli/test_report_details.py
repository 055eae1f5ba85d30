"""The pages of the reports' settings: written from the catalogs, printed and built side by side."""

import re
from pathlib import Path

import pytest

from mg_assets.cli.report_details import NOT_PRINTED, pages
from mg_assets.settings.load import load_settings
from mg_portfolio.report.items import REPORTS, load_items

DOCS = Path(__file__).parents[3] / "docs" / "reports"


@pytest.mark.parametrize("name", ["details_69.md", "details_72.md"])
def test_pages_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run make docs"


def rows(page, heading):
    """Cells of the tables below a heading, by their first one."""
    part = page.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in part.split("\n") if line.startswith("| ")]
    return {cells[0].strip(): [c.strip() for c in cells[1:]] for cells in lines}


def test_every_printed_setting_stands_beside_what_is_built():
    seen = pages()["details_72.md"]
    high, low = rows(seen, "Chart 44: high-frequency model"), rows(seen, "Chart 51: low-frequency model")
    assert high["network"] == [
        "GRU 27 x 40 to 30, one layer; batch norm; linear 30 to 1; sigmoid",
        "recurrent (hidden 30, layers 1, sigmoid True)",
    ]
    assert high["learning rate"][1] == "0.005, Adam, weight decay 0"
    assert high["gradient clip"] == [NOT_PRINTED, "1"]
    assert low["inputs"][1].count("divided by the last value") == 3
    portfolio = rows(seen, "Chart 62: portfolios")
    assert portfolio["turnover"][1] == "one-way 15% (two-way 30%), one-way 20% (two-way 40%), one-way 25% (two-way 50%)"
    assert portfolio["weight in the index"] == ["at least 80%", "at least 80%"]


def test_factors_of_the_charts_are_all_there():
    seen, other = pages()["details_72.md"], pages()["details_69.md"]
    families = ("Chart 6: minute factors", "Chart 25: trade factors", "Chart 36: order factors")
    counts = [sum(name.startswith("`") for name in rows(seen, title)) for title in families]
    assert counts == [15, 8, 4]
    assert sum(name.startswith("`") for name in rows(other, "Chart 9: factors")) == 42
    assert rows(other, "Chart 29: relaxed constraints")["turnover"][1] == "one-way 20% (two-way 40%)"
    assert rows(other, "Chart 8: construction")["turnover"][1] == "one-way 15% (two-way 30%)"


def test_a_need_names_a_signal_that_make_run_lacks():
    config = load_settings(str(DOCS.parents[1] / "deploy" / "demo.yaml"))
    combined = config.catalogs.combinations
    built, found = set(), {*config.catalog, *config.catalogs.hand_weighted}
    while found:
        built |= found
        found = {part for name in found if name in combined for part in combined[name].parts} - built
    for report in REPORTS:
        for item in load_items(report):
            named = set(re.findall(r"\b[a-z]+_\w+", item.needs)) & set(config.catalogs.signals)
            assert not named or not named <= built, f"{report}, {item.item}: make run has {sorted(named)}"
