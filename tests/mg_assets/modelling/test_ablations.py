"""Every model of the reports' tables, trained small, predicted and set beside the published numbers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.settings import load_settings
from mg_models.catalog import COMBINATIONS, get, override, signal_names, trained_parts
from mg_portfolio.report.signal_study.layouts import SIGNAL_TABLES, report_of
from mg_portfolio.report.signal_study.measures import FEW_DAYS, FEW_STOCKS, MIN_DAYS

CHECKOUT = Path(__file__).parents[3]
FILE = CHECKOUT / "deploy" / "ablations.yaml"
SUBJECTS = {row.subject for layout in SIGNAL_TABLES for row in layout.rows}


@pytest.fixture(scope="module")
def config(monkeypatch_module):
    return load_settings(str(FILE))


@pytest.fixture(scope="module")
def monkeypatch_module():
    """Without the environment's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("MG_")]:
            patch.delenv(name)
        yield patch


def test_the_file_names_every_model_of_the_tables(config):
    trained = trained_parts(config.catalog)
    signals = {s for name in trained for s in get(name).signals}
    fused = {n for n, c in COMBINATIONS.items() if c.rule == "fuse" and set(trained_parts([n])) <= set(trained)}
    assert SUBJECTS <= signals | fused | {"hf_equal_weight", "hf_icir_weight"} <= set(signal_names())
    assert set(config.models) == set(trained)
    for name in trained:
        override(get(name), **config.models[name])  # every hyper-parameter is one of its model's


@pytest.mark.slow
def test_every_table_fills_on_a_small_market(tmp_path):
    given = yaml.safe_load(FILE.read_text()) | {"lake": str(tmp_path / "lake")}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(given))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    done = subprocess.run(
        [sys.executable, "-m", "mg_assets.cli.main", "run"],
        env=kept | {"MG_SETTINGS": str(tmp_path / "small.yaml"), "OMP_NUM_THREADS": "1"},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lake = Lake(tmp_path / "lake")
    for name in SUBJECTS:
        assert len(lake.keys(name)) >= MIN_DAYS
    cells = lake.day("signal_study", WHOLE)
    filled = cells[cells["table"] != "signals"]
    assert set(filled["subject"]) == SUBJECTS
    # weights by trailing ICIR need half a year of weekly RankICs; under 200 tradable stocks a top 100 is no choice
    assert set(filled.loc[filled["subject"] == "hf_icir_weight", "why"]) == {FEW_DAYS}
    assert set(filled.loc[filled["subject"] != "hf_icir_weight", "why"]) <= {"", FEW_STOCKS}
    assert np.isfinite(filled.loc[filled["why"] == "", "ours"]).all()
    metrics = {c.metric for layout in SIGNAL_TABLES for c in layout.columns}
    assert metrics - set(filled.loc[filled["why"] == "", "metric"]) <= {"top100_excess_gross", "top100_excess_net"}
    # models differ: no two signals have the same figures
    ours = cells[(cells["table"] == "signals") & (cells["metric"] == "rank_ic_mean")].set_index("subject")["ours"]
    same = {frozenset((f"{m}", f"{m}_10d20d")) for m in ("mtl_mlp", "mtl_task_attention", "mtl_stock_attention")}
    same |= {frozenset((f"multi_granularity_{h}", f"output_ensemble3_biagru_{h}")) for h in ("5d", "10d")}
    twins = {frozenset((a, b)) for a in ours.index for b in ours.index if a < b and ours[a] == ours[b]}
    assert twins <= same
    day = lake.keys("alstm")[-1]
    assert len(lake.day("alstm", day)) < len(lake.day("lf_multitask", day))  # series 69 takes the liquid stocks
    assert report_of("alstm") == "huatai_69"
    text = Path(lake.folder("signal_study", WHOLE), "signal_study_en.html").read_text()
    assert "not trained here" not in text
    assert "Signal study:" in done.stdout
