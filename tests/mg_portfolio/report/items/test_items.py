"""The list of the reports' charts and tables: complete, each counterpart found, the documents written from it."""

import pytest
from rendered_pages import DOCS, RENDERED, anchors_of

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.report.items import REPORTS, Item, load_items, pages


def test_the_reports_print_172_items():
    assert sum(len(report.items) for report in REPORTS.values()) == 172


@pytest.mark.parametrize("report", REPORTS)
def test_each_item_of_a_report_is_listed_once(report):
    assert [i.item for i in load_items(report)] == REPORTS[report].items


@pytest.mark.parametrize("report", REPORTS)
def test_each_counterpart_is_found_in_its_page(report):
    wanted = {}
    for item in load_items(report):
        if item.page:
            wanted.setdefault(item.page, []).append((item.anchor, item.item))
    unknown = {p for p in wanted if not p.endswith(".md") and p not in RENDERED}
    assert not unknown, f"rendered_pages.py renders no {unknown}"
    missing = {(page, *pair) for page, pairs in wanted.items() for pair in pairs if pair[0] not in anchors_of(page)}
    assert not missing


def test_only_diagrams_have_no_counterpart():
    reasons = [i.reason for report in REPORTS for i in load_items(report) if i.reason]
    assert reasons == ["a diagram of the method, no result"] * 14


@pytest.mark.parametrize("name", pages())
def test_documents_are_up_to_date(name):
    assert (DOCS / "reports" / name).read_text(encoding="utf-8") == pages()[name], "run make docs"


@pytest.mark.parametrize(
    "fields", [{}, {"page": "a"}, {"page": "a", "anchor": "b", "reason": "c"}, {"reason": "c", "needs": None}]
)
def test_an_item_needs_a_page_or_a_reason(fields):
    with pytest.raises(EvaluationError, match="chart 1"):
        Item("chart 1", "title", **fields)
