"""Models, signals and portfolios of a user's own: from YAML and from extension modules, in one catalog."""

import re
import sys
import textwrap
from types import ModuleType

import pytest

from mg_assets.errors import SettingsError
from mg_assets.factors import factor, registry
from mg_assets.modelling.panels import chosen_columns
from mg_assets.modelling.signals import ScorePart, score_part
from mg_assets.settings import CHECKOUT, Settings, load_settings
from mg_models.catalog import CATALOG, InputSpec, get, override
from mg_portfolio import Costs
from mg_portfolio.catalog import ALL_PORTFOLIOS
from mg_portfolio.report.published import published_value

MODULE = """
from dataclasses import replace

from mg_models import CATALOG, CombinationSpec, get
from mg_portfolio import PORTFOLIOS

BASE = get("hf_gru")
ONE = replace(BASE, name="one_of_mine", learning_rate=0.001)
MEANS = [CombinationSpec("mean_of_mine", "fuse", ("one_of_mine", "lf_multitask"), (1.0, 1.0))]
BOOK = replace(PORTFOLIOS["csi500_ai"], name="book_of_mine", published=None)
"""


@pytest.fixture
def settings_of(tmp_path, monkeypatch):
    """Settings of a file with some text, and the module ``own_catalog`` beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_catalog.py").write_text(MODULE)

    def load(text: str) -> Settings:
        (tmp_path / "s.yaml").write_text(text)
        return load_settings(str(tmp_path / "s.yaml"))

    yield load
    sys.modules.pop("own_catalog", None)


def test_a_portfolio_is_another_one_but_for_what_is_set():
    spec = Settings(
        portfolios={
            "mine": {
                "like": "csi500_ai", "stock_limit": 0.02, "turnover": 0.1, "signal": "hf_gru", "member_floor": 0.5,
                "industry_limit": None, "style_limits": {"size": 0}, "costs": {"one_sided": 0.001},
            }
        }
    ).catalogs.portfolios["mine"]  # fmt: skip
    base = ALL_PORTFOLIOS["csi500_ai"]
    assert (spec.name, spec.signal, spec.index, spec.stock_limit) == ("mine", "hf_gru", base.index, 0.02)
    assert (spec.turnover_limit, spec.member_floor, spec.industry_limit) == (0.1, 0.5, None)
    assert (spec.style_limits, spec.other_styles) == ({"size": 0.0}, base.other_styles)
    assert spec.costs == Costs.one_sided(0.001)
    assert (spec.source, spec.subject) == ("defined in the settings", None)


def test_a_portfolio_may_be_whole_or_like_one_of_the_settings():
    whole = {"signal": "hf_gru", "index": "csi300", "member_floor": None, "stock_limit": 0.01, "industry_limit": 0.02}
    found = Settings(portfolios={"b": {"like": "a", "turnover": 0.3}, "a": whole}).catalogs.portfolios
    assert (found["a"].turnover_limit, found["b"].turnover_limit) == (0.15, 0.3)
    assert (found["b"].index, found["b"].stock_limit) == ("csi300", 0.01)


def test_only_another_signal_keeps_the_published_figures():
    name = "csi500_turnover30"
    changed = Settings(portfolios={name: {"signal": "hf_gru"}}).catalogs.portfolios[name]
    assert published_value(changed.subject, "excess_annual") is not None
    assert Settings(portfolios={name: {"stock_limit": 0.02}}).catalogs.portfolios[name].subject is None
    listed = Settings(portfolios=[name])
    assert list(listed.portfolios) == [name]
    assert listed.catalogs.portfolios[name] == ALL_PORTFOLIOS[name]


def test_a_model_is_another_one_but_for_what_is_set():
    found = Settings(
        models={
            "mine": {
                "like": "hf_gru", "inputs": [{"panel": "daily", "steps": 20}, {"panel": "hf", "min_share": 0.5}],
                "network": {"kind": "sequence", "cell": "lstm"}, "hidden": 8, "loss": "squared_error",
                "horizons": [5], "label": {"price": "close"}, "split": {"every": 2}, "train_days": 200,
                "valid_days": 50, "description": "Mine.", "seeds": [3],
            },
            "smaller": {"like": "mine", "hidden": 4},
            "hf_gru": {"learning_rate": 0.002},
        }
    ).catalogs.models  # fmt: skip
    mine = found["mine"]
    assert [(i.panel, i.steps, i.scale, i.min_share) for i in mine.inputs] == [
        ("daily", 20, "last_value", 0.6), ("hf", 40, "none", 0.5),
    ]  # fmt: skip
    assert (mine.network.kind, mine.network.cell, mine.network.hidden) == ("sequence", "lstm", 8)
    assert (mine.loss.kind, mine.label.horizons, mine.label.price) == ("squared_error", (5,), "close")
    assert (mine.split.every, mine.split.train_days, mine.split.valid_days) == (2, 200, 50)
    assert (mine.description, mine.seeds, mine.learning_rate) == ("Mine.", (3,), 0.002)  # like the deployment's hf_gru
    assert mine.source == "ours, like hf_gru (Huatai series 72, charts 43-45)"
    assert found["smaller"].network.hidden == 4
    assert found["hf_gru"] == override(get("hf_gru"), learning_rate=0.002)
    assert found["lstm"] is CATALOG["lstm"]


def test_own_signals_bring_the_models_of_their_parts():
    config = Settings(
        catalog=["lf_multitask"],
        signals={"both": {"mean": ["first", "realized_vol"]}, "first": {"mean": {"hf_gru": 2, "lf_daily_only": 1}}},
    )
    known = config.catalogs
    assert config.held_signals == ("lf_multitask", "both", "first")
    assert known.trained(config.held_signals) == ("lf_multitask", "hf_gru", "lf_daily_only")
    own = [n for n in known.combinations if n in ("both", "first")]
    assert own == ["first", "both"]  # a mean of means after its parts
    assert known.combinations["first"].weights == (2.0, 1.0)


def test_a_part_that_is_a_factor_is_read_with_its_sign():
    assert score_part("hf_gru") == ScorePart("hf_gru")
    assert score_part("late_skew_ret") == ScorePart("factor_scores", "late_skew_ret", -1)
    assert score_part("turn_1m") == ScorePart("daily_factors", "turn_1m", 1, raw=True)
    with pytest.raises(SettingsError, match="'turn_1' is neither a signal nor a factor; did you mean turn_1m"):
        score_part("turn_1")


def test_a_factor_with_a_name_of_a_signal_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "settings", lambda: Settings(signals={"turn_1m": {"mean": ["late_skew_ret"]}}))
    with pytest.raises(SettingsError, match="factor turn_1m has the name of a signal; rename one of them"):
        registry.own_factors()


def test_a_fault_of_a_factor_is_not_that_of_an_input(monkeypatch):
    module = ModuleType("own_of_this_test")
    module.beta = factor(name="beta")(lambda daily_bars: {})
    monkeypatch.setattr(registry, "MODULES", (module,))
    chosen = InputSpec("mine", 5, columns=("turn_1m",))
    with pytest.raises(SettingsError, match=r"^factor beta is a published one, in common_factors; rename yours$"):
        chosen_columns(get("hf_gru"), chosen)


def test_entries_of_extension_modules_join_the_catalogs(settings_of, tmp_path):
    found = settings_of(
        "extensions: [own_catalog.py]\ncatalog: [mean_of_mine]\nportfolios: [book_of_mine]\n"
        "models: {one_of_mine: {seeds: [5]}}\nsignals: {scores: {table: scores.csv}}\n"
    ).catalogs
    assert found.models["one_of_mine"] == override(get("hf_gru"), learning_rate=0.001, seeds=[5]).__class__(
        **{**vars(override(get("hf_gru"), learning_rate=0.001, seeds=[5])), "name": "one_of_mine"}
    )
    assert found.trained(["mean_of_mine"]) == ("one_of_mine", "lf_multitask")
    assert found.portfolios["book_of_mine"].subject is None
    assert found.tables["scores"].path == str(tmp_path / "scores.csv")
    assert len(found.models) == len(CATALOG) + 1


def test_a_name_of_an_extension_is_unknown_without_it(settings_of):
    with pytest.raises(SettingsError, match=r"catalog\[0\] was 'mean_of_mine'; a signal was expected"):
        settings_of("catalog: [mean_of_mine]\n")


def test_an_entry_of_a_built_in_name_is_refused(settings_of, tmp_path):
    (tmp_path / "own_catalog.py").write_text(MODULE.replace('"one_of_mine"', '"lf_multitask"'))
    with pytest.raises(
        SettingsError, match=r"\.yaml: ModelSpec 'lf_multitask' is defined twice: in .*_72.py and .*own"
    ):
        settings_of("extensions: [own_catalog.py]\n")


def examples(page: str, section: str) -> list[str]:
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [textwrap.dedent(found) for found in re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", text, re.MULTILINE)]


def test_examples_of_the_pages_are_settings_and_modules(settings_of, tmp_path):
    (text,) = examples("settings.md", "Models, signals and portfolios of your own")
    found = settings_of(text)
    assert found.held_signals == ("my_gru", "my_signal", "my_scores")
    assert found.catalogs.portfolios["mine"].turnover_limit == 0.1
    text, module = examples("models.md", "A model of your own")
    assert settings_of(text).catalogs.models["my_gru"].network.hidden == 64
    (tmp_path / "own_catalog.py").write_text(module)
    found = settings_of("extensions: [own_catalog.py]\ncatalog: [last_step]\nmodels: {last_step: {hidden: 32}}\n")
    assert found.catalogs.models["last_step"].network.hidden == 32
    (text,) = examples("extensions.md", "A model, a signal, a portfolio")
    own = settings_of(text.replace("extensions: [./late_volume.py]\n", "")).catalogs
    assert own.models["my_gru"].inputs[0].columns == ("hf27", "late_volume")
