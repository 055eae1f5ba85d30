"""RankIC of a signal's day with the labels that the lake has already."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mg_assets.assets.models import _built
from mg_assets.lake.store import Lake
from mg_assets.modelling.rank_ic import known_rank_ic
from mg_assets.modelling.signals import Scored

DAY = "2023-02-01"
HORIZONS = (5, 10, 20)
STOCKS = [f"{600000 + i}.SH" for i in range(25)]


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Labels of one day whose 20-day exit is not in the lake yet."""
    rng = np.random.default_rng(3)
    labels = pd.DataFrame(rng.normal(size=(25, 3)), columns=[f"ret_{h}" for h in HORIZONS])
    labels.insert(0, "symbol", STOCKS)
    labels.loc[0, "ret_5"], labels["ret_20"] = np.nan, np.nan
    made = Lake(str(tmp_path))
    made.write("labels", DAY, labels)
    return made


def scores(count=24) -> pd.DataFrame:
    return pd.DataFrame({"symbol": STOCKS[:count], "score": np.random.default_rng(4).normal(size=count)})


def test_a_day_shows_its_rank_ic_with_known_labels(lake):
    labels = lake.day("labels", DAY).set_index("symbol").reindex(STOCKS[:24])
    expected = {
        f"rank_ic_{h}d": round(spearmanr(scores()["score"], labels[f"ret_{h}"], nan_policy="omit")[0], 4)
        for h in (5, 10)
    }
    shown = _built(lake, Scored("mine", DAY, scores(), certificate={"inputs": {}})).metadata
    assert {k: v for k, v in shown.items() if k.startswith("rank_ic")} == pytest.approx(expected)


def test_no_figure_without_labels_or_with_few_stocks(lake, tmp_path):
    assert known_rank_ic(lake, "2023-02-02", scores(), HORIZONS) == {}
    assert known_rank_ic(lake, DAY, scores(19), HORIZONS) == {}
    assert known_rank_ic(lake, DAY, scores(0), HORIZONS) == {}
    assert known_rank_ic(lake, DAY, scores().assign(score=1.0), HORIZONS) == {}
    tmp_path.joinpath(f"labels/date={DAY}/part.parquet").write_bytes(b"x")
    assert known_rank_ic(Lake(str(tmp_path)), DAY, scores(), HORIZONS) == {}
