"""A changed definition gives another recipe to its table and to all downstream of it, and to no other."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mg_assets.assets import ASSET_OF, LAKE_ASSETS, TABLES, models, portfolios
from mg_assets.orchestration.recipes import DESCRIPTIVE, canonical
from mg_assets.orchestration.staleness import TableRegistry
from mg_assets.settings import Settings, settings

CHECKOUT = Path(__file__).parents[3]


def changed_value(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, tuple):
        return (*value, value[-1]) if value else ("x",)
    if value is None:
        return 0.5
    return {**value, "x": 0.5}


def changes(spec) -> Iterator[tuple[str, object]]:
    """Every copy of a specification with one field changed, those of its parts included."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if dataclasses.is_dataclass(value):
            for name, part in changes(value):
                yield f"{field.name}.{name}", replaced(spec, field.name, part)
        else:
            yield field.name, replaced(spec, field.name, changed_value(value))
        if isinstance(value, tuple):
            for at, item in enumerate(value):
                if dataclasses.is_dataclass(item):
                    for name, part in changes(item):
                        other = (*value[:at], part, *value[at + 1 :])
                        yield f"{field.name}[{at}].{name}", replaced(spec, field.name, other)


def replaced(spec, name: str, value):
    """A copy that no validation refuses: only the recipe is of interest."""
    copy = object.__new__(type(spec))
    for field in dataclasses.fields(spec):
        object.__setattr__(copy, field.name, getattr(spec, field.name))
    object.__setattr__(copy, name, value)
    return copy


DEPLOYED = settings()
CATALOGS = DEPLOYED.catalogs
HELD = (CATALOGS.models, CATALOGS.combinations, CATALOGS.tables, CATALOGS.portfolios)
OWN = Settings(
    models={"my_gru": {"like": "hf_gru", "inputs": [{"panel": "hf", "steps": 20, "columns": ["hf27", "turn_1m"]}]}},
    signals={
        "my_mean": {"mean": {"hf_gru": 0.7, "late_skew_ret": 0.3, "turn_1m": 1}},
        "my_scores": {"table": "/data/scores.csv"},
    },
    portfolios={"mine": {"like": "csi500_turnover30", "stock_limit": 0.01, "turnover": 0.1, "signal": "my_mean"}},
).catalogs
OWN_HELD = tuple(
    {name: entry for name, entry in own.items() if name not in held}
    for own, held in zip((OWN.models, OWN.combinations, OWN.tables, OWN.portfolios), HELD, strict=True)
)
"""Entries as a settings file defines them, by kind."""
ENTRIES = {name: entry for held in (*HELD, *OWN_HELD) for name, entry in held.items()}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_field_of_an_entry_is_in_its_text(name):
    text = canonical(ENTRIES[name])
    for field, other in changes(ENTRIES[name]):
        same = field.rpartition(".")[2] in DESCRIPTIVE
        assert (canonical(other) == text) == same, field


def entries_of(name: str):
    """The tables that a catalog's entry makes."""
    if name in CATALOGS.models:
        assets = [models._training_asset(name), models._prediction_asset(name)]
    elif name in CATALOGS.hand_weighted:
        assets = [models._hand_weighted(CATALOGS.combinations[name], CATALOGS.hand_weighted[name])]
    elif name in CATALOGS.combinations:
        assets = [models._fusion(CATALOGS.combinations[name])]
    elif name in CATALOGS.tables:
        assets = [models._of_file(CATALOGS.tables[name])]
    else:
        assets = [portfolios._weights_asset(name), portfolios._backtest_asset(name)]
    return {entry.table: entry for asset in assets for entry in asset.entries}


@pytest.fixture(scope="module")
def whole():
    """Every table of every catalog."""
    with pytest.MonkeyPatch.context() as patch:
        for held, own in zip(HELD, OWN_HELD, strict=True):
            for name, entry in own.items():
                patch.setitem(held, name, entry)
        for module in (models, portfolios):  # another test may have had the settings read again
            patch.setattr(module, "settings", lambda: DEPLOYED)
        patch.setattr(portfolios, "SIGNALS", tuple(OWN.signals))
        fixed = {e.table: e for asset in LAKE_ASSETS for e in asset.entries}
        yield fixed | {t: e for name in ENTRIES for t, e in entries_of(name).items()}


@pytest.fixture(scope="module")
def recipes(whole):
    registry = TableRegistry(whole.values())
    return {table: registry.recipe(table) for table in whole}


def downstream(whole, tables: set[str]) -> set[str]:
    """The tables, and all that read one of them, directly or not."""
    found, more = set(tables), True
    while more:
        new = {t for t, e in whole.items() if t not in found and not found.isdisjoint(n.table for n in e.needs)}
        found, more = found | new, bool(new)
    return found


def first_change(name: str):
    """An entry with one field changed that a run accepts."""
    entry = ENTRIES[name]
    if name in CATALOGS.models:
        return dataclasses.replace(entry, learning_rate=entry.learning_rate * 2)
    if name in CATALOGS.combinations:
        return dataclasses.replace(entry, horizon=entry.horizon + 1)
    if name in CATALOGS.tables:
        return dataclasses.replace(entry, score="other")
    return dataclasses.replace(entry, stock_limit=0.03)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_changed_entry_reaches_what_reads_it_only(name, whole, recipes, monkeypatch):
    for held in HELD:
        if name in held:
            monkeypatch.setitem(held, name, first_change(name))
    own = entries_of(name)
    registry = TableRegistry((whole | own).values())
    other = {table for table in whole if registry.recipe(table) != recipes[table]}
    assert other == downstream(whole, set(own)), name


@pytest.mark.parametrize("table", TABLES)
def test_columns_version_and_windows_count(table):
    """A 35th factor, another code version, a longer look-back: this table and all downstream."""
    whole = dict(TABLES)
    entry = whole[table]
    others = [dataclasses.replace(entry, version="another")]
    if entry.columns:
        others.append(dataclasses.replace(entry, columns={**entry.columns, "a_further_one": ""}))
        others.append(dataclasses.replace(entry, columns=dict(reversed(entry.columns.items()))))
    if entry.needs:
        longer = dataclasses.replace(entry.needs[0], back=entry.needs[0].back + 1)
        others.append(dataclasses.replace(entry, needs=(longer, *entry.needs[1:])))
    for other in others if len(entry.columns) != 1 else others[:2]:
        registry = TableRegistry((whole | {table: other}).values())
        changed = {t for t in whole if registry.recipe(t) != TABLES.recipe(t)}
        assert changed == downstream(whole, {table})


OTHER_MODELS = {**settings().models, "hf_gru": {**settings().models.get("hf_gru", {}), "hidden": 65}}
SETTINGS = {
    "MG_EVALUATION": ('{"every": [10]}', ["factor_evaluation", "signal_evaluation"]),
    "MG_TRADING": (
        '{"commission": 0.001, "costs": "chinese"}',
        [t for t in TABLES if t.startswith(("weights_", "portfolio_study_")) or t.endswith("_daily")],
    ),
    "MG_FIRST_MODEL": ("2018H1", models.TRAINED),
    "MG_MODELS": (json.dumps(OTHER_MODELS), ["hf_gru_model"]),
}
"""Of each setting another value, and tables of the assets that it decides."""


def printed_recipes(**environment: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER")) or k == "MG_SETTINGS"}
    code = "from mg_assets.assets import TABLES\nfor t in TABLES: print(t, TABLES.recipe(t))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def by_default():
    return printed_recipes()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_setting_reaches_what_it_decides_only(name, by_default):
    value, decided = SETTINGS[name]
    found = printed_recipes(**{name: value})
    changed = {t for t in by_default if found[t] != by_default[t]}
    assert changed == downstream(dict(TABLES), {t for d in decided for t in ASSET_OF[d].tables})


def test_a_path_of_the_source_is_in_no_recipe(tmp_path):
    """Where files lie decides nothing: their content does."""
    recipes = [
        printed_recipes(MG_SOURCE=f'{{"kind": "tonglian", "root": "{folder}"}}', MG_END_DATE="2023-02-03")
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert recipes[0] == recipes[1]


def test_equal_texts_are_of_equal_configurations_only():
    parts = [1, 1.5, "1", None, True, (1, 2), (12,), {"a": 1}, {"a": "1"}]
    texts = [canonical(p) for p in parts]
    assert all(a != b for a, b in itertools.combinations(texts, 2))
    with pytest.raises(TypeError, match="no canonical text"):
        canonical(lambda: 1)
