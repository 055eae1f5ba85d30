"""Columns, descriptions and tags of every table as the UI shows them."""

import re

import dagster as dg
import pytest

from mg_assets.assets import ASSET_OF, TABLES
from mg_assets.definitions import defs
from mg_assets.orchestration.column_schema import column_text, stated_schema

RAW_MARKUP = re.compile(r":\w+:`|``|^ {4}|docs/|\bmg_assets\.", re.MULTILINE)


@pytest.mark.parametrize("table", TABLES)
def test_every_stated_column_has_a_description(table):
    schema = stated_schema(TABLES[table])
    without = [c.name for c in schema.columns if not c.description or c.description.startswith("From ")]
    assert without == []


@pytest.mark.parametrize("table", TABLES)
def test_descriptions_render_as_markdown(table):
    text = ASSET_OF[table].descriptions[table]
    assert text
    assert not RAW_MARKUP.search(text), text


def test_every_column_in_the_lake_has_a_description(lake):
    without = {}
    for table in TABLES:
        for key in lake.keys(table)[-1:]:
            with lake.opened(table, key) as file:
                names = file.schema.names
            without[table] = [name for name in names if not column_text(TABLES[table], name)]
    assert without
    assert {table: names for table, names in without.items() if names} == {}


@pytest.mark.parametrize("evaluation", ["factor_evaluation", "signal_evaluation"])
def test_every_figure_of_an_evaluation_has_a_text_of_its_own(evaluation, lake):
    texts = {}
    for table in (evaluation, f"{evaluation}_detail"):
        entry = TABLES[table]
        with lake.opened(table, "all") as file:
            texts |= {(table, name): column_text(entry, name) for name in file.schema.names}
        of_this = [text for (found, _), text in texts.items() if found == table]
        assert len(set(of_this)) >= len(of_this) - 1  # rank_icir is rank_ic_ir under another name
    assert len(texts) > 80


def test_the_graph_has_no_table_that_nothing_makes():
    keys = {key.to_user_string() for key in defs.get_repository_def().asset_graph.get_all_asset_keys()}
    assert keys == set(TABLES)


@pytest.mark.parametrize(
    ("selection", "inside", "outside"),
    [
        ('tag:"cadence"="half-yearly"', "hf_gru_model", "daily_bars"),
        ('group:"factors"', "intraday_factors", "daily_bars"),
        ('+key:"weights_csi500_turnover30"', "fused", "factor_evaluation"),
        ('kind:"cvxpy"', "weights_csi500_turnover30", "fused"),
    ],
)
def test_saved_selections_find_their_tables(selection, inside, outside):
    graph = defs.get_repository_def().asset_graph
    found = {key.to_user_string() for key in dg.AssetSelection.from_string(selection).resolve(graph)}
    assert inside in found
    assert outside not in found
