"""The Chinese weekly report shows no English text of any check of the catalogue."""

import datetime as dt
import re

import pytest

from mg_assets.quality import SUITES, chinese
from mg_portfolio.report.weekly.names import check_name
from mg_portfolio.report.weekly.page import QualityRow, WeeklyReport, render_weekly_report

DAY = dt.date(2023, 12, 15)
CHECKS = {(check, limit) for suite in SUITES.values() for check in suite.checks for limit in check.limits}
ALSO_CHINESE = {"ST", "PSI", "RankIC", "SH"}


def row(check, limit) -> QualityRow:
    bad = {"partition": str(DAY), "measure": limit.measure, "observed": 0.5, "row": 3, "symbol": "600519.SH"}
    english = f"{limit.measure} = 0.5 (row 3, symbol 600519.SH)", DAY, check.description
    return QualityRow("t", check.name, "warn", *english, chinese.found(bad), chinese.description_of(check.description))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The data-quality section with every limit of every check broken."""
    quality = tuple(row(check, limit) for check, limit in CHECKS)
    report = WeeklyReport(as_of=DAY, source="x", factors=(), portfolios=(), quality=quality, checks_run=len(quality))
    sections = {}
    for lang in ("zh", "en"):
        page = render_weekly_report(report, lang)
        sections[lang] = page[page.index('<section id="quality">') :].partition("</section>")[0]
    return sections


def test_no_check_text_is_left_in_english(pages):
    text = re.sub(r"<code>.*?</code>|<[^>]*>", " ", pages["zh"])
    assert set(re.findall(r"(?<!\d)[A-Za-z]\w*", text)) <= ALSO_CHINESE
    assert text.count("行 3，证券 600519.SH") == len(CHECKS)


def test_each_check_has_chinese_texts_of_its_own():
    for check, limit in CHECKS:
        for text in (
            check_name(check.name, "zh"),
            chinese.description_of(check.description),
            chinese.measure_name(limit.measure),
        ):
            assert re.search("[\u4e00-\u9fff]|PSI", text), (check.name, text)
    assert len({chinese.description_of(c.description) for c, _ in CHECKS}) == len({c.description for c, _ in CHECKS})
    assert len({chinese.measure_name(x.measure) for _, x in CHECKS}) == len({x.measure for _, x in CHECKS})


def test_the_english_report_keeps_the_english_texts(pages):
    assert not re.search("[\u4e00-\u9fff]", pages["en"])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"relaxed": "industry[Banks] by 0.00006826, turnover by 0.1"}, "放宽 行业：银行 0.00006826，换手 0.1"),
        ({"limits": "style[size], industry", "stocks": 90}, "限额 风格：市值，行业，股票数 90"),
        ({"limit": "style[beta]"}, "限额 风格：贝塔"),
        ({"limit": 0.02}, "限额 0.02"),
    ],
)
def test_limits_are_named_in_chinese(more, text):
    bad = {"partition": str(DAY), "measure": "relaxed_limits", "observed": 5} | more
    assert chinese.found(bad) == f"被放松的约束 = 5（{text}）"


def test_what_a_users_rule_says_stays_as_it_is():
    bad = {
        "partition": "2023-12-15",
        "measure": "close_within_limit",
        "observed": 2.0,
        "column": "close",
        "fault": "missing",
    }
    assert chinese.found(bad) == "close_within_limit = 2（字段 close，问题 缺失）"
    assert chinese.found({"partition": "2023-12-15"}) == ""
    assert chinese.description_of("No close above the limit.") == "No close above the limit."
