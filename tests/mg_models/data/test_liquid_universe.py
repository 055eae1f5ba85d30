"""The liquid universe against a plain loop, and its ignorance of the future."""

import numpy as np
import pandas as pd
import pytest

from mg_models.data.liquid_universe import liquid
from mg_models.errors import InputError


@pytest.fixture
def market(make):
    rng = np.random.default_rng(0)
    days, shape = make.weekdays(330), (330, 23)
    amount, cap = (np.exp(rng.standard_normal(shape) + 2 * rng.standard_normal(23)) for _ in range(2))
    amount[rng.random(shape) < 0.1] = np.nan
    cap[:200, 4] = np.nan  # listed later
    amount[:200, 4] = np.nan
    return days, amount, cap, rng.random(shape) < 0.05, rng.random(shape) > 0.05


def naive(days, amount, cap, suspended, admitted) -> np.ndarray:
    """Quarter by quarter in pandas."""
    out = np.zeros(amount.shape, bool)
    quarters = pd.PeriodIndex(pd.DatetimeIndex(days), freq="Q")
    members = np.zeros(amount.shape[1], bool)
    for d in range(len(days)):
        out[d] = members & admitted[d]
        if d + 1 < len(days) and quarters[d + 1] != quarters[d]:
            frame = pd.DataFrame(
                {
                    "amount": pd.DataFrame(amount[: d + 1]).tail(252).mean(),
                    "cap": pd.DataFrame(cap[: d + 1]).tail(252).mean(),
                }
            )[~suspended[d] & admitted[d]]
            best = [frame[c].nlargest(int(np.ceil(0.6 * frame[c].count()))).index for c in frame]
            members = np.isin(np.arange(amount.shape[1]), best[0].intersection(best[1]))
    return out


def test_members_are_those_of_the_plain_loop(market):
    got = liquid(*market)
    np.testing.assert_array_equal(got, naive(*market))
    assert not got[:60].any()  # before the first quarter's end
    assert 0.2 < got[100:].mean() < 0.6


def test_the_future_changes_no_member(market):
    days, *panels = market
    at = 217
    changed = [p.copy() for p in panels]
    rng = np.random.default_rng(1)
    for p in changed:
        p[at + 1 :] = rng.permuted(p[at + 1 :], axis=1)
    np.testing.assert_array_equal(liquid(days, *changed)[: at + 1], liquid(*market)[: at + 1])


def test_a_longer_history_changes_no_member(market):
    """Once a year and a quarter are there, where the panel begins does not matter."""
    days, *panels = market
    cut = 10
    later = liquid(days[cut:], *(p[cut:] for p in panels))
    first = 252 + cut + 66
    np.testing.assert_array_equal(later[first - cut :], liquid(*market)[first:])


def test_shapes_are_checked(market):
    days, amount, cap, suspended, admitted = market
    with pytest.raises(InputError, match=r"cap must be \(330, 23\)"):
        liquid(days, amount, cap[:, :5], suspended, admitted)
