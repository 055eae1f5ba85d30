"""The examples of docs/extensions.md, run as they are printed."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mg_assets.extensions import defined
from mg_assets.factors.registry import own_factors, table_of
from mg_assets.market.schema import PERIOD_BARS
from mg_assets.quality import rules
from mg_assets.quality.rules import Rule, check_rules
from mg_assets.settings import CHECKOUT, load_settings
from mg_assets.sources import build_source, own_kinds
from mg_assets.testing import check_factor, check_source

PAGE = (CHECKOUT / "docs" / "extensions.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
RULES = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    before, names = list(sys.path), set(sys.modules)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "s.yaml").write_text(yaml.safe_dump({"extensions": [f"./{n}" for n in FILES]}) + RULES)
    config = load_settings(str(folder / "s.yaml"))
    yield config
    sys.path[:] = before
    for name in {Path(n).stem for n in FILES} - names:
        sys.modules.pop(name, None)


def test_factors_of_the_page_pass_their_test(modules):
    found = own_factors(modules.modules)
    assert list(found) == ["late_volume", "week_return"]
    assert table_of("late_volume", modules.modules) == "own_late_volume"
    for one in found.values():
        check_factor(one, days=2)


def test_rules_of_the_page_name_what_exists(modules, monkeypatch):
    monkeypatch.setattr(rules, "settings", lambda: modules)
    found = rules.own_rules()
    assert {t: [r.name for r in of] for t, of in found.items()} == {
        "daily_bars": ["volume_values_to_be_between", "calm_day", "close_values_to_be_between"],
        "own_late_volume": ["late_volume_mean_to_be_between"],
    }
    check_rules({"daily_bars": PERIOD_BARS.names, "own_late_volume": ["symbol", "late_volume"]}, {})
    calm = defined(modules.modules, Rule)["calm_day"]
    day = pd.DataFrame({"symbol": ["600000.SH", "000001.SZ"], "high": [1.0, 2.0], "low": [0.9, 1.0]})
    assert calm(day)["symbol"].tolist() == ["000001.SZ"]


def test_source_of_the_page_is_found_and_passes(modules, tmp_path, monkeypatch):
    kind = own_kinds(modules.modules)["my_vendor"]
    for day in ("2023-02-01", "2023-02-02", "2023-02-03"):
        (tmp_path / f"{day}.csv").write_text(
            f"date,symbol,open,high,low,close,volume\n{day},600000.SH,10,10,10,10,{day[-1]}\n{day},000001.SZ,20,20,20,20,2\n"
        )
    check_source(kind, {"root": str(tmp_path)})
    monkeypatch.setattr("mg_assets.sources.settings", lambda: modules)
    assert build_source("my_vendor", {"root": str(tmp_path)}).days().astype(str).tolist()[0] == "2023-02-01"
