"""Settings: every key of every level is checked, an error is one line that names it, digests are those of before."""

import datetime as dt
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from mg_assets.errors import DataError, SettingsError
from mg_assets.market.calendar import OPENING
from mg_assets.orchestration.checks import build_checks
from mg_assets.settings import (
    CHECKOUT,
    Settings,
    check_accepted,
    load_settings,
    read_settings_file,
    write_settings_file,
)
from mg_assets.settings import settings as deployment
from mg_assets.settings import values as types
from mg_assets.settings.entries import CostSettings, PortfolioSettings
from mg_assets.settings.source_kinds import SOURCES
from mg_assets.settings.values import Part
from mg_assets.sources import KINDS
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.level2.snapshots import SnapshotSource
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource
from mg_assets.sources.simulated.settings import SimulationSettings

FILES = sorted(f for f in (CHECKOUT / "deploy").glob("*.yaml") if f.name not in ("dagster.yaml", "workspace.yaml"))
READERS = {
    "tonglian": TonglianSource,
    "huatai": TonglianSource,
    "exchange": TonglianSource,
    "qlib": QlibSource,
    "mapped": MappedSource,
    "snapshots": SnapshotSource,
}
GROUPS = {n: f.annotation for n, f in Settings.model_fields.items() if inspect.isclass(f.annotation) and
          issubclass(f.annotation, Part)}  # fmt: skip


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch):
    for name in [n for n in os.environ if n.startswith("MG_")]:
        monkeypatch.delenv(name)
    yield
    deployment.cache_clear()


def given(kind: str) -> dict[str, Any]:
    """The least that a source of a kind needs."""
    if kind == "composite":
        return {"kind": kind, "sources": [{"kind": "simulated"}]}
    lacking = [n for n, f in SOURCES[kind].model_fields.items() if f.is_required() and n != "kind"]
    return {"kind": kind} | dict.fromkeys(lacking, "x")


def levels() -> Iterator[tuple[str, list[str], dict]]:
    """Each group of settings: what comes before its keys in an error, their names, and settings that hold it."""
    yield "", list(Settings.model_fields), {}
    for group, model in GROUPS.items():
        yield f"{group}.", list(model.model_fields), {group: {}}
    for kind, model in SOURCES.items():
        yield "source.", list(model.model_fields), {"source": given(kind)}
        inside = {"source": {"kind": "composite", "sources": [given(kind)]}}
        yield "source.sources[0].", list(model.model_fields), inside

    mine = {"portfolios": {"mine": {"like": "csi500_ai", "costs": {"stamp_tax": 0.001}}}}
    yield "portfolios.mine.", list(PortfolioSettings.model_fields), mine
    yield "portfolios.mine.costs.", list(CostSettings.model_fields), mine
    yield (
        "signals.mine.",
        ["table", "date", "symbol", "score", "description"],
        {"signals": {"mine": {"table": "x.csv"}}},
    )


KEYS = [(before, key, values) for before, names, values in levels() for key in names]
NAMED = [f"{values.get('source', {}).get('kind', '')} {before}{key}" for before, key, values in KEYS]


def innermost(values: dict, before: str) -> dict:
    """The group whose keys come after ``before``."""
    for part in re.findall(r"\w+", before):
        values = values[int(part) if part.isdigit() else part]
    return values


def lines_of(folder: Path, values: dict) -> list[str]:
    """The problems of a settings file that holds some values, each without the file's name."""
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(str(file))
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines), lines
    return [line.removeprefix(f"{file}: ") for line in lines]


def changed(values: dict, before: str, key: str, value: object) -> dict:
    copied = json.loads(json.dumps(values))
    innermost(copied, before)[key] = value
    return copied


@pytest.mark.parametrize(("before", "key", "values"), KEYS, ids=NAMED)
def test_a_typo_in_any_key_is_named_with_the_nearest_key(tmp_path, before, key, values):
    (line,) = [x for x in lines_of(tmp_path, changed(values, before, f"{key}x", 1)) if "unknown" in x]
    assert line.startswith(f"{before}{key}x is unknown; did you mean {before}{key}? known: ")
    assert key in line.partition("known: ")[2].split(", ")


@pytest.mark.parametrize(("before", "key", "values"), KEYS, ids=NAMED)
def test_a_wrong_value_of_any_key_is_named(tmp_path, before, key, values):
    for wrong in ({"?": "?"}, ["?"], "?", -7, None, 1.5):
        if free(key, wrong):
            continue
        for line in lines_of(tmp_path, changed(values, before, key, wrong)):
            assert re.match(rf"{re.escape(before + key)}\S* (was|has the key|is unknown|is no|is needed)", line), wrong


def free(key: str, value: object) -> bool:
    """Whether a key allows that value: text, a number or nothing that only its reader can refuse."""
    if isinstance(value, str):
        return key in {"code_changes", "lake", "root", "files", "config", "dialect"} | TEXTS_OF_SIGNALS
    if value is None:
        return key in OPTIONAL
    if isinstance(value, list):
        return key == "symbols"
    if isinstance(value, dict):
        return key in {"files", "indices"}
    return key in SIMULATED_NUMBERS or (
        value == 1.5
        and key
        in {"price_unit", "volume_unit", "amount_unit", "capital", "other_styles", "holding_period", "risk_aversion"}
    )


TEXTS_OF_SIGNALS = {"table", "date", "symbol", "score", "description"}
OPTIONAL = {
    "member_floor", "industry_limit", "other_styles", "holding_period",
    "daily_from", "ticks_from", "factors_from", "until", "portfolios_from", "capital", "participation", "tick_start",
    "index_sizes",
    "files", "raw_volume", "indices", "symbols", "layouts", "price_unit", "volume_unit", "amount_unit",
}  # fmt: skip
SIMULATED_NUMBERS = {f.name for f in fields(SimulationSettings) if f.type is float}


def test_options_of_a_source_are_those_of_its_reader():
    assert set(SOURCES) == set(KINDS)
    simulated = {f.name: f.default is MISSING for f in fields(SimulationSettings)}
    assert options("simulated") == simulated
    for kind, reader in READERS.items():
        names = {n: p.default is p.empty for n, p in inspect.signature(reader).parameters.items()}
        if kind in ("huatai", "exchange"):
            del names["dialect"]  # the kind says it
        assert options(kind) == names, kind


def options(kind: str) -> dict[str, bool]:
    """Options of a kind of source, and whether they are needed."""
    return {n: f.is_required() for n, f in SOURCES[kind].model_fields.items() if n != "kind"}


def test_no_day_is_before_the_exchange_opened():
    assert types.OPENING == OPENING


def test_a_first_day_before_the_default_lets_a_run_begin_there(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("first_day: 2002-01-04\nrun: {daily_from: 2002-01-04, half_years: [2002H1]}\n", encoding="utf-8")
    assert load_settings(str(path)).first_day == "2002-01-04"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_each_file_of_deploy_loads(file, monkeypatch):
    if "$MG_DATA" in file.read_text(encoding="utf-8"):
        with pytest.raises(SettingsError, match=rf"{file.name}: line \d+: \$MG_DATA is not set in the environment"):
            load_settings(str(file))
        monkeypatch.setenv("MG_DATA", "/data")
    assert load_settings(str(file)).model_fields_set >= {"lake", "source", "run"}


@pytest.mark.parametrize(
    ("values", "names", "digest"),
    [
        ({}, ["source"], "a81d3b1d2492"),
        ({}, ["trading", "signals"], "75fec5fd5af2"),
        ({}, ["evaluation", "accepted", "models", "catalog", "first_model"], "07acb11d2dfa"),
        ({"trading": {"costs": "chinese", "capital": 500000000, "lots": True}}, ["trading"], "aa8b02d445fa"),
        ({"trading": {"capital": 5e8, "participation": 0.1}}, ["trading"], "9f6267be0f70"),
        ({"evaluation": {"universes": ["csi300"], "every": [5]}}, ["evaluation"], "a80b43ac7406"),
        ({"accepted": {"labels": {"finite_share": [dt.date(2015, 7, 7)]}}}, ["accepted"], "ab411f323297"),
        (
            {"models": {"hf_gru": {"seeds": [0], "learning_rate": 0.001, "steps": {"hf": 10}}}},
            ["models"],
            "3f4381f618af",
        ),
        (
            {"source": {"kind": "simulated", "tick_start": dt.date(2022, 1, 4), "alpha_strength": 1}},
            ["source"],
            "0f440b37e848",
        ),
        ({"source": {"kind": "composite", "sources": [{"kind": "qlib", "root": "/x"}]}}, ["source"], "8763e52a9115"),
    ],
)
def test_digests_are_those_of_version_0_1(tmp_path, values, names, digest):
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(values))
    assert load_settings(str(tmp_path / "s.yaml")).digest(*names) == digest


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {"run": {"half_year": ["2023H1"]}, "workers": "many"},
            [
                "workers was 'many'; an integer from 0 was expected",
                "run.half_year is unknown; did you mean run.half_years? known: daily_from, ticks_from, tick_days, "
                "factors_from, until, half_years, portfolios_from",
            ],
        ),
        ({"until": "2023-01-04"}, ["until is unknown; did you mean run.until? known: lake, "]),
        ({"catalog": ["hf_gruu"]}, ["catalog[0] was 'hf_gruu'; a signal was expected; did you mean hf_gru? docs/mo"]),
        ({"catalog": "hf_gru"}, ["catalog was 'hf_gru'; a list was expected"]),
        ({"portfolios": ["csi500_turnover30"] * 2}, ["portfolios was ['csi500_turnover30', 'csi500_turnover30']; cs"]),
        (
            {"signals": {"csi300_turnover30": "lf_multitask"}},
            [
                "signals.csi300_turnover30 was 'lf_multitask'; a portfolio's signal is set as "
                "portfolios: {csi300_turnover30: {signal: lf_multitask}}"
            ],
        ),
        ({"models": {"hf_gr": {}}}, ["models.hf_gr is no trained model; did you mean hf_gru? docs/models.md lists"]),
        (
            {"models": {"hf_gru": {"seed": [0], "every": "x", "hidden": 0, "seeds": [1]}}},
            [
                "models.hf_gru.seed is unknown; did you mean seeds? known: batch_days, ",
                "models.hf_gru.every was 'x'; every must be int like 5",
                "models.hf_gru.hidden was 0; hidden must be positive",
            ],
        ),
        (
            {"models": {"mine": {"hidden": 8}}},
            ["models.mine is no trained model; docs/models.md lists all 40; one of your"],
        ),
        (
            {"models": {"mine": {"like": "hf_gr"}}},
            ["models.mine.like was 'hf_gr'; a trained model was expected; did you"],
        ),
        ({"models": {"mine": {"like": 3}}}, ["models.mine.like was 3; the name of a trained model was expected"]),
        ({"models": {"hf_gru": {"like": "lstm"}}}, ["models.hf_gru.like was 'lstm'; hf_gru is in the catalog: rename"]),
        (
            {"models": {"hf": {"like": "hf_gru", "hiddn": 8}}},
            ["models.hf.hiddn is unknown; did you mean hidden? known: "],
        ),
        (
            {"models": {"Mine": {"like": "hf_gru"}}},
            ["models.Mine is no name for a model: lower-case letters"],
        ),
        ({"models": {"trades": {"like": "hf_gru"}}}, ["models.trades is a table of the lake; rename yours"]),
        (
            {"models": {"lstm_relaxed": {"like": "hf_gru"}}},
            ["models.lstm_relaxed is a name in the reports' tables, whose figures would"],
        ),
        (
            {"models": {"a": {"like": "b"}, "b": {"like": "a"}}},
            ["models.a.like was 'b', which is like it in", "models.b."],
        ),
        (
            {"models": {"mine": {"like": "hf_gru", "inputs": [{"panel": "hff"}]}}},
            ["models.mine was {'inputs': [{'panel': 'hff'}]}; no input 'hff' without columns; did you mean hf?"],
        ),
        (
            {"models": {"mine": {"like": "hf_gru", "inputs": [{"panel": "hf"}, {"panel": "daily"}]}}},
            ["models.mine was {'inputs': [{'panel': 'hf'}, {'panel': 'daily'}]}; a recurrent network reads one"],
        ),
        (
            {"models": {"mine": {"like": "hf_gru", "loss": "mse"}}},
            ["models.mine was {'loss': 'mse'}; no loss 'mse'; known: neg"],
        ),
        (
            {"signals": {"mine": {}}},
            ["signals.mine: mean, weights of signals or factors, or table, a file of scores, was"],
        ),
        (
            {"signals": {"mine": {"mean": {"hf_gru": 0}}}},
            ["signals.mine.mean was {'hf_gru': 0}; a mapping of signals or"],
        ),
        ({"signals": {"mine": {"mean": {"a": 1, "b": -1}}}}, ["signals.mine: the weights of mean must add up to more"]),
        ({"signals": {"fused": {"mean": ["lstm"]}}}, ["signals.fused is a signal of the catalog; rename yours"]),
        (
            {"signals": {"a": {"mean": ["b"]}, "b": {"mean": ["a"]}}},
            ["signals.a.mean was ['b']; it is a part of its own"],
        ),
        (
            {"portfolios": {"mine": {"stock_limit": 0.01}}},
            ["portfolios.mine is not whole: it needs signal, index, member_"],
        ),
        (
            {"portfolios": {"mine": {}}},
            ["portfolios.mine is no portfolio; mg_portfolio.catalog lists all 121; one of your"],
        ),
        (
            {"portfolios": {"lstm_relaxed": {"like": "csi500_ai"}}},
            ["portfolios.lstm_relaxed is a name in the reports' tables, whose figu"],
        ),
        (
            {"portfolios": {"x": {"like": "csi500_ai", "turnover": 0.1, "turnover_limit": 0.1}}},
            ["portfolios.x: turnover and"],
        ),
        (
            {"portfolios": {"x": {"like": "csi500_ai", "costs": {"two_sided": 0.1, "slippage": 0.0}}}},
            ["portfolios.x.costs: "],
        ),
        (
            {"portfolios": {"x": {"like": "csi500_ai", "style_limits": {"sze": 0.1}}}},
            ["portfolios.x.style_limits has the key"],
        ),
        (
            {"portfolios": {"csi500_ai": {"signal": "x"}}},
            ["portfolios.csi500_ai.signal was 'x'; a signal was expected; docs"],
        ),
        ({"trading": {"capital": "5e8"}}, ["trading.capital was '5e8'; a number above 0 was expected, not text; YAML"]),
        ({"trading": {"capital": float("nan")}}, ["trading.capital was nan; a number above 0 was expected"]),
        ({"trading": {"capital": float("inf")}}, ["trading.capital was inf; a number above 0 was expected"]),
        ({"trading": {"lots": True}}, ["trading: lots and participation need a capital in yuan, such as capital: "]),
        ({"trading": {"commission": 0.001}}, ["trading: commission and slippage need costs: chinese; "]),
        ({"trading": {"costs": "chinese", "commission": 25}}, ["trading.commission was 25; a fraction from 0 to 0.1 "]),
        ({"evaluation": {"universes": ["csi30"]}}, ["evaluation.universes[0] was 'csi30'; a universe was expected; "]),
        ({"evaluation": {"every": []}}, ["evaluation.every was []; at least one was expected"]),
        ({"accepted": {"labels": {"schema": ["May"]}}}, ["accepted.labels.schema[0] was 'May'; a partition was exp"]),
        (
            {"accepted": {"labels": {"schema": ["2023-01-04..2023H1"]}}},
            ["accepted.labels.schema[0] was '2023-01-04..2"],
        ),
        (
            {"accepted": {"labels": {"schema": ["2023-01-04..2023-01-03"]}}},
            ["accepted.labels.schema[0] was '2023-01-04..2023-01-03'; two dates or two half-years were expected, the"],
        ),
        ({"accepted": {"labels": {"schema": ["all..all"]}}}, ["accepted.labels.schema[0] was 'all..all'; two dates"]),
        ({"accepted": {"labels": {"schema": "2023-01-04"}}}, ["accepted.labels.schema was '2023-01-04'; a list was"]),
        (
            {"run": {"daily_from": dt.date(2012, 1, 4)}},
            ["run.daily_from was 2012-01-04; a date from first_day (2013-01-04) on was exp"],
        ),
        ({"run": {"daily_from": "2023-02-01", "until": "2023-01-04"}}, ["run: daily_from 2023-02-01 is after until"]),
        ({"run": {"until": "2023-02-30"}}, ["run.until was '2023-02-30'; a date as 2023-12-29 was expected"]),
        ({"run": {"half_years": ["2023H3"]}}, ["run.half_years[0] was '2023H3'; a half-year as 2017H1, from 1991H1"]),
        ({"first_day": "1989-06-01"}, ["first_day was '1989-06-01'; a date from 1990-12-19, the exchange's opening"]),
        (
            {"first_day": "2018-01-02", "end_date": "2017-12-29", "first_model": "2017H2"},
            ["end_date was 2017-12-29; a date from first", "first_model was 2017H2; a half-year from first_day"],
        ),
        ({"run": None}, ["run was null; a mapping of names to values was expected"]),
        ({"source": {"kind": "simulatd"}}, ["source.kind was 'simulatd'; did you mean simulated? known: simulated, "]),
        ({"source": {"stocks": 3}}, ["source.kind is needed; known: simulated, tonglian, "]),
        ({"source": {"kind": "qlib"}}, ["source.root is needed"]),
        (
            {"source": {"kind": "composite", "sources": [{"kind": "mapped", "config": "x", "rot": "y"}]}},
            ["source.sources[0].root is needed", "source.sources[0].rot is unknown; did you mean source.sources[0].ro"],
        ),
        ({5: 1}, ["5 is unknown; known: lake, "]),
    ],
)
def test_each_problem_is_one_line_that_names_it(tmp_path, values, lines):
    found = lines_of(tmp_path, values)
    assert len(found) == len(lines), found
    for line, start in zip(found, lines, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("MG_WORKERS", "many", "MG_WORKERS was 'many'; an integer from 0 was expected"),
        ("MG_WORKERS", "-1", "MG_WORKERS was -1; an integer from 0 was expected"),
        ("MG_DEVICE", "gpu", "MG_DEVICE was 'gpu'; auto, cpu, cuda, cuda:N or mps was expected"),
        ("MG_CATALOG", "hf_gru, hf_gruu", "MG_CATALOG[1] was 'hf_gruu'; a signal was expected; did you mean hf_gru? d"),
        ("MG_TRADING", "{", "MG_TRADING is not JSON: Expecting property name enclosed in double quotes: line 1 column"),
        ("MG_TRADING", '{"capital": 1, "capital": 2}', "MG_TRADING is not JSON: capital is set twice in the same obj"),
        ("MG_TRADING", '{"cost": 1}', "MG_TRADING: cost is unknown; did you mean costs? known: costs, "),
        ("MG_RUN", '{"until": "May"}', "MG_RUN: until was 'May'; a date as 2023-12-29 was expected"),
        ("MG_PORTFOLIO", "csi500_turnover30", "MG_PORTFOLIO is unknown; did you mean MG_PORTFOLIOS? known: MG_LAKE, "),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, monkeypatch, variable, text, line):
    (tmp_path / "s.yaml").write_text("{}")
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(str(tmp_path / "s.yaml"))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def aliases(form: str) -> bytes:
    """Seven lines that stand for nine to the seventh values."""
    lines = ["a: &a {x: 1}"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} " + form.format(", ".join([f"*{before}"] * 9)))
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lake: [", "is not YAML: line 1, column 8: while parsing a flow node expected the node content"),
        (b"lake: a\nrun:\n\tuntil: b", "is not YAML: line 3, column 1: .*cannot start any token; indent with spaces"),
        (b"lake: a\nlake: b", "line 2: lake is set twice in the same mapping"),
        (b"run: {until: 2023-01-04, until: 2023-01-05}", "line 1: until is set twice in the same mapping"),
        (b"\nend_date: 2023-02-30", "is not YAML: line 2, column 11: there is no date 2023-02-30"),
        (b"lake: a\n---\nlake: b", "is not YAML: line 2, column 1: expected a single document"),
        (b"lake: \x07", "is not YAML: line 1: special characters are not allowed"),
        (b"lake: !!int x", "is not YAML: invalid literal"),
        (b"lake: !!python/name:os.system x", "is not YAML: line 1, column 7: could not determine a constructor"),
        (b"lake: &a [*a]", "line 1: an alias refers to what it is a part of"),
        (b"lake: " + b"[" * 5000, "is not YAML: it is nested too deeply"),
        (b"lake: $MG_ABSENT/x", "line 1: \\$MG_ABSENT is not set in the environment"),
        (b"- lake", "must hold settings as name: value, was list"),
        (b"lake", "must hold settings as name: value, was str"),
        (b"", "is empty; settings as name: value were expected, or {} for the defaults"),
        (b"# lake: a\n", "is empty; settings"),
        (b"lake: a" + b"a" * (1 << 20), "is larger than 1,048,576 bytes; is it a settings file\\?"),
        (aliases("[{}]"), "stands for more than 20,000 values, those that aliases repeat too: write fewer"),
        (aliases("{{<<: [{}]}}"), "stands for more than 20,000 values"),
        ("a: 1\nlake: 数据".encode("gb18030"), r"is not UTF-8: line 2: byte 0xca \(it may be GBK\); save it as UTF-8"),
        ("lake: 数据".encode("utf-16"), r"is not UTF-8: line 1: byte 0xff \(it may be UTF-16\); save it as UTF-8"),
    ],
    ids=lambda v: v[:20] if isinstance(v, bytes) else None,
)
def test_a_file_that_is_no_settings_is_named_in_one_line(tmp_path, content, message):
    file = tmp_path / "s.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(str(file))
    assert re.match(rf"{re.escape(str(file))}:? {message}", str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match=rf"^{tmp_path} cannot be read: Is a directory"):
        load_settings(str(tmp_path))
    with pytest.raises(SettingsError, match=r"absent.yaml is absent; MG_SETTINGS names a YAML file"):
        load_settings(str(tmp_path / "absent.yaml"))
    assert read_settings_file(tmp_path / "absent.yaml") == {}
    (tmp_path / "s.yaml").write_text("{}")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SettingsError, match=r"s.yaml cannot be read: Permission denied; a YAML file was expected$"):
        load_settings(str(tmp_path / "s.yaml"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbflake: /data\n")
    assert load_settings(str(tmp_path / "s.yaml")).lake == "/data"


def test_merged_mappings_are_no_keys_given_twice(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "models:\n  lstm: &a {every: 3, max_epochs: 2}\n  alstm: &b {<<: *a, every: 4}\n  hf_gru: {<<: *b, every: 5}\n"
    )
    models = load_settings(str(tmp_path / "s.yaml")).models
    assert models["alstm"] == {"every": 4, "max_epochs": 2}
    assert models["hf_gru"] == {"every": 5, "max_epochs": 2}


def test_a_variable_in_a_file_keeps_the_type_of_its_text(tmp_path, monkeypatch):
    (tmp_path / "s.yaml").write_text("workers: $MG_MINE\nlake: '$MG_MINE'\nwebhook: https://x/$PART\n")
    monkeypatch.setenv("PART", "#a: b")  # would be a comment and a mapping in the file
    monkeypatch.setenv("MG_MINE", "3")  # a variable that the file mentions is known
    found = load_settings(str(tmp_path / "s.yaml"))
    assert (found.workers, found.lake, found.webhook) == (3, "3", "https://x/#a: b")


@pytest.mark.parametrize(
    "webhook", ["hooks.example/SECRET", "ftp://hooks.example/SECRET", ["SECRET"], {"url": "SECRET"}]
)
def test_no_error_shows_the_address_of_the_webhook(tmp_path, webhook):
    (line,) = lines_of(tmp_path, {"webhook": webhook})
    assert line.endswith(
        "webhook was another text, which is not shown here; an http or https URL, or nothing was expected"
    )


def test_no_dump_shows_the_address_of_the_webhook():
    found = Settings(webhook="https://hooks.example/SECRET")
    assert found.webhook.endswith("SECRET")
    assert "SECRET" not in f"{found!r} {found}"


def test_a_written_file_is_read_as_settings(tmp_path, monkeypatch):
    file = tmp_path / "new" / "settings.yaml"
    values = {"lake": "$MG_TEST_FOLDER/湖", "end_date": "2023-12-29", "portfolios": ["csi500_turnover30"]}
    write_settings_file(file, values)
    assert read_settings_file(file) == values
    assert [f.name for f in file.parent.iterdir()] == ["settings.yaml"]
    monkeypatch.setenv("MG_TEST_FOLDER", "/data")
    monkeypatch.setenv("MG_WORKERS", "3")
    expected = Settings(lake="/data/湖", end_date="2023-12-29", portfolios=("csi500_turnover30",), workers=3)
    assert load_settings(str(file)) == expected


def test_dates_of_yaml_become_text(tmp_path):
    (tmp_path / "s.yaml").write_text("end_date: 2023-12-29\naccepted: {labels: {finite_share: [2015-07-07]}}\n")
    found = load_settings(str(tmp_path / "s.yaml"))
    assert found.end_date == "2023-12-29"
    assert found.accepted == {"labels": {"finite_share": ("2015-07-07",)}}


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().run.until = "2023-01-04"


def test_accepted_names_a_table_and_a_check(monkeypatch):
    checks = {"labels": ["schema", "finite_share"], "trades": ["schema"]}
    check_accepted({"labels": {"finite_share": ("2015-07-07",)}}, checks)
    with pytest.raises(SettingsError) as caught:
        check_accepted({"labels": {"finite": ()}, "trade": {"schema": ()}}, checks)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith(
        "accepted.labels.finite is no check of labels; did you mean finite_share? known: schema, finite_share"
    )
    assert lines[1].endswith("accepted.trade is no table with checks; did you mean trades? known: labels, trades")
    monkeypatch.setenv("MG_ACCEPTED", '{"labels": {"finite_shar": []}}')
    deployment.cache_clear()
    with pytest.raises(DataError, match=r"^MG_ACCEPTED: labels.finite_shar is no check of labels; did you mean fin"):
        build_checks([])
    monkeypatch.setenv("MG_ACCEPTED", '{"weights_csi500_turnover30": {"budget": ["2023-01-02"]}}')
    deployment.cache_clear()
    assert build_checks([]) == []


COMMANDS = [
    "run", "table", "home", "explain 600000.SH 2023-02-01", "factors volume_perc2", "replay 2023-02-01",
    "what-if csi500_turnover30 turnover_limit=0.2", "cost hf_gru 2023H1", "retrain-check hf_gru 2023H1",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_with_the_line_and_code_2(tmp_path, monkeypatch, capsys, command):
    from mg_assets.cli.main import main

    (tmp_path / "s.yaml").write_text("run: {half_year: [2023H1]}\n")
    monkeypatch.setenv("MG_SETTINGS", str(tmp_path / "s.yaml"))
    deployment.cache_clear()
    assert main(command.split()) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"mg: {tmp_path}/s.yaml: run.half_year is unknown; did you mean run.half_years? ")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_settings_do_not_depend_on_the_locale(tmp_path):
    (tmp_path / "s.yaml").write_bytes("lake: /tmp/湖\nrun: {湖: 1}\n".encode())
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "zh_CN.GBK", "PYTHONUTF8": "0", "PYTHONIOENCODING": "gbk"}
    done = subprocess.run(
        [sys.executable, "-m", "mg_assets.cli.main", "home"], cwd=CHECKOUT, capture_output=True, check=False,
        env=environment | {"MG_SETTINGS": str(tmp_path / "s.yaml")},
    )  # fmt: skip
    assert done.returncode == 2
    assert "run.湖 is unknown; known: daily_from, " in done.stderr.decode("gbk")


def test_dagster_names_what_is_wrong_when_it_loads(tmp_path):
    (tmp_path / "s.yaml").write_text("workers: many\n")
    done = subprocess.run(
        [sys.executable, "-c", "import mg_assets.definitions"], cwd=CHECKOUT, capture_output=True, text=True,
        env=os.environ | {"MG_SETTINGS": str(tmp_path / "s.yaml")}, check=False,
    )  # fmt: skip
    assert done.stderr.endswith(
        f"SettingsError: {tmp_path}/s.yaml: workers was 'many'; an integer from 0 was expected\n"
    )


def test_the_command_line_reads_settings_when_a_command_runs():
    code = "import sys; import mg_assets.cli.main; print([m for m in ('pydantic', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_settings_load_neither_torch_nor_dagster_nor_pandas():
    code = (
        "import sys; from mg_assets.settings import load_settings; load_settings('deploy/ablations.yaml');"
        "print([m for m in ('torch', 'dagster', 'pandas', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_of_settings_names_every_setting_and_key():
    page = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        (row,) = [x for x in page.splitlines() if x.startswith(f"| `{name}` | `MG_{name.upper()}`")]
        if name in GROUPS:
            assert all(f"`{key}`" in row for key in GROUPS[name].model_fields), name
