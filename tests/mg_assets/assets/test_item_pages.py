"""The pages that the lists of the reports' items name are made by assets."""

from rendered_pages import RENDERED

from mg_assets.assets import TABLES


def test_html_pages_are_tables_of_the_graph():
    assert set(RENDERED) <= set(TABLES)
