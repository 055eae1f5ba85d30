"""A small corruption campaign: no damage is read in silence, whatever the table."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from damaged_lake import BYTES, PARQUET, campaign, contents

from mg_assets.lake.store import Lake

DAYS = [str(d)[:10] for d in pd.bdate_range("2023-02-01", periods=6)]


def ticks(rng: np.random.Generator) -> pd.DataFrame:
    stocks, n = 6, 300
    return pd.DataFrame({
        "symbol": np.repeat([f"{600000 + i}.SH" for i in range(stocks)], n),
        "time": pd.Timestamp("2023-02-01 09:30") + pd.to_timedelta(np.tile(np.arange(n), stocks), "s"),
        "seq": np.tile(np.arange(n), stocks),
        "price": rng.integers(900, 1100, n * stocks) / 100,
        "volume": rng.integers(1, 90, n * stocks) * 100,
        "buy_order": rng.integers(1, 10**6, n * stocks),
        "sell_order": rng.integers(1, 10**6, n * stocks),
        "side": rng.choice([-1, 1], n * stocks),
    })  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake, rng = Lake(tmp_path_factory.mktemp("campaign") / "lake"), np.random.default_rng(0)
    symbols = [f"{600000 + i}.SH" for i in range(300)]
    for day in DAYS:
        lake.write("trades", day, ticks(rng))
        lake.write("fused", day, pd.DataFrame({"symbol": symbols, "score": rng.standard_normal(300)}), {"recipe": "x"})
        lake.write("weekly_report", day, pd.DataFrame({"language": ["en"], "file": ["report"]}))
    for half_year in ("2022H1", "2022H2", "2023H1"):
        lake.write_file("hf_gru_model", half_year, "seed0.safetensors", rng.bytes(5000))
        lake.write_file("hf_gru_model", half_year, "seed0.json", b'{"seed": 0}')
        lake.write("hf_gru_model", half_year, pd.DataFrame({"seed": [0], "rank_ic": [0.1]}))
    lake.write("factor_evaluation", "all", pd.DataFrame({"name": ["x"], "rank_ic_mean": [0.05]}))
    return lake


def test_no_damage_is_silent(lake):
    before = contents(lake)
    found = [c for seed in range(8) for c in campaign(lake, 19, seed)]
    assert [c for c in found if c.result == "silent"] == []
    assert {c.kind for c in found} == {way.__name__ for way in (*BYTES, *PARQUET)} | {"touched"}
    assert {c.target.path.suffix for c in found} == {".parquet", ".safetensors", ".json"}
    counts = Counter(c.result for c in found)
    assert counts["named"] > 100
    assert {c.kind for c in found if c.result == "same"} <= {"touched", "flipped_bits"}
    assert contents(Lake(lake.root)) == before
