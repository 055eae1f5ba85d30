"""Named universes, and the ranks by the rule of the CNI indices."""

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.universes import UNIVERSES, cni_ranks, top_by_amount, universe_members


def test_universes_are_what_their_names_say():
    rng = np.random.default_rng(15)
    days = np.busday_offset("2022-11-01", np.arange(60), roll="forward")
    shape = (60, 40)
    group = rng.integers(0, 4, 40)
    members = {n: np.broadcast_to(group == k, shape).copy() for k, n in enumerate(("csi300", "csi500", "csi1000"))}
    listed = np.ones(shape, bool)
    listed[:, 0] = False
    amount, cap = rng.random(shape) * 1e8, np.broadcast_to(rng.random(40) * 1e10, shape)
    masks, absent = universe_members(UNIVERSES, members, amount, cap, listed, days)
    assert masks["all"] is None
    np.testing.assert_array_equal(masks["csi800"][5], (group == 0) | (group == 1))
    np.testing.assert_array_equal(masks["outside_csi1800"][5], (group == 3) & listed[5])
    mean = pd.DataFrame(np.where(listed, amount, np.nan)).rolling(21, min_periods=1).mean().iloc[30]
    assert set(np.flatnonzero(masks["top_amount20"][30])) == set(mean.nlargest(8).index)
    assert set(absent) == {"cni2000", "outside_cni3000"}  # 39 stocks fill no CNI 1000
    _, without = universe_members(["csi300", "outside_csi1800"], {}, amount, cap, listed, days)
    assert without["outside_csi1800"] == "the source has no members of csi300, csi500, csi1000"
    with pytest.raises(EvaluationError, match=r"universes were \['csi50'\]"):
        universe_members(["csi50"], members, amount, cap, listed, days)


def test_cni_ranks_change_in_january_and_july_and_look_back():
    rng = np.random.default_rng(16)
    days = np.busday_offset("2022-06-01", np.arange(170), roll="forward")
    amount, cap = rng.random((170, 30)), np.cumprod(1 + 0.05 * rng.standard_normal((170, 30)), axis=0)
    ranks = cni_ranks(amount, cap, np.ones((170, 30), bool), days)
    changed = np.flatnonzero((ranks[1:] != ranks[:-1]).any(axis=1)) + 1
    assert [str(days[d])[:7] for d in changed] == ["2022-07", "2023-01"]
    start = changed[1]
    value, traded = cap[start - 126 : start].mean(axis=0), amount[start - 126 : start].mean(axis=0)
    score = 2 / 3 * value / value.sum() + traded / traded.sum() / 3
    np.testing.assert_array_equal(ranks[start], pd.Series(-score).rank())
    later = cap.copy()
    later[start:] = 1.0
    np.testing.assert_array_equal(cni_ranks(amount, later, np.ones((170, 30), bool), days), ranks)
    assert top_by_amount(amount, np.ones((170, 30), bool))[50].sum() == 6


def test_cni_universes_are_cut_from_the_ranks(monkeypatch):
    monkeypatch.setattr(
        "mg_portfolio.evaluation.universes.CNI_BOUNDS", {"cni2000": (10, 25), "outside_cni3000": (25, np.inf)}
    )
    days = np.busday_offset("2023-01-03", np.arange(30), roll="forward")
    size = np.broadcast_to(np.arange(40, 0, -1.0), (30, 40)).copy()  # the first stock is the largest
    listed = np.ones((30, 40), bool)
    listed[:15, 39] = False  # listed after the review
    size[:15, 39] = np.nan
    masks, absent = universe_members(["cni2000", "outside_cni3000"], {}, size, size, listed, days)
    assert not absent
    assert np.flatnonzero(masks["cni2000"][20]).tolist() == list(range(10, 25))
    assert np.flatnonzero(masks["outside_cni3000"][20]).tolist() == list(range(25, 40))
    assert np.flatnonzero(masks["outside_cni3000"][10]).tolist() == list(range(25, 39))
    official = np.zeros((30, 40), bool)
    official[:, 5:20] = True
    given = {"cni1000": np.zeros_like(official) | (np.arange(40) < 5), "cni2000": official}
    masks, _ = universe_members(["cni2000"], given, size, size, listed, days)
    np.testing.assert_array_equal(masks["cni2000"], official)
