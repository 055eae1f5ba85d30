"""How informed traders tilt a stock's order flow: the planted alpha's footprints.

A stock's alpha ``a`` (a cross-sectional z-score times the strength; 0 = none) moves the parameters of its flow, never
its daily prices. Each footprint follows ``a`` through its own curve (saturating, one-sided, quadratic) times its own
random intensity of the day, so that a factor shows it with noise and a network that combines factors nonlinearly has
something to gain over their mean.

Informed investors of a stock with a > 0

- buy early: more and larger (but not giant) buy orders in the first half-hour, a price that runs ahead and gives back;
- then work patiently: buy orders of even size resting below the market, volume moved from the last half-hour to the
  middle of the day, meeting large urgent sellers;
- leave falls sharper than rises, more minute reversal, volume less tied to trade counts and to the range.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.sources.simulated.kernel_random import uniform


class Tilt(NamedTuple):
    """Footprints of one stock and day, all 0 without alpha.

    Attributes
    ----------
    early_buy : float
        Log odds added to buyer-initiated orders before 10:00.
    early_big : float
        Probability added to large buy orders (taken from large sell orders) before 10:00.
    early_even : float
        Log of the largest order before 10:00, subtracted.
    early_drift : float
        Return of the first half-hour given back later, in units of the day's volatility.
    middle_volume, last_volume : float
        Log volume of half-hours 2..7 and of the last.
    fall, late_fall : float
        Negative skewness of minute returns, whole day and its extra in the last half-hour.
    reversal : float
        Moving-average coefficient of minute returns, subtracted.
    liveliness : float
        Log number of orders: with more of them the price jumps less between minutes.
    trend : float
        Log size of the path's slow component.
    sell_tail, buy_tail : float
        Added to the tail exponent of large orders after 10:00, a half of it to the log-size deviation.
    bulk : float
        Probability added to large orders of both sides, all day.
    patience : float
        Probability of large urgent orders moved from buys to sells after 10:00.
    deep_size : float
        Log size of buy limit orders far below the market relative to near ones.
    contrarian : float
        Log odds against the last minute's return, per standard deviation.
    loose_count : float
        How much of a minute's volume comes from order sizes rather than counts.
    loose_range : float
        Loss of correlation between a minute's volume and its volatility.
    fall_size : float
        Log order size per standard deviation of fall in a minute.
    early_rise_count : float
        Log order count per standard deviation of rise in an early minute.
    """

    early_buy: float
    early_big: float
    early_even: float
    early_drift: float
    middle_volume: float
    last_volume: float
    fall: float
    late_fall: float
    reversal: float
    liveliness: float
    trend: float
    sell_tail: float
    buy_tail: float
    bulk: float
    patience: float
    deep_size: float
    contrarian: float
    loose_count: float
    loose_range: float
    fall_size: float
    early_rise_count: float


@njit(nogil=True)
def intensity(rng):
    """A footprint's random intensity of the day, mean 1: a third of the days show almost none."""
    u = uniform(rng)
    return 0.25 if u < 0.33 else 0.6 + 1.5 * uniform(rng)


@njit(nogil=True)
def tilt_of(alpha, rng):
    """Draw the footprints of one stock and day.

    Parameters
    ----------
    alpha : float
        What informed traders know, a z-score; 0 gives no tilt.
    rng : (1,) uint64

    Returns
    -------
    Tilt
    """
    soft = 1.5 * np.tanh(alpha / 1.5)  # saturates beyond one and a half deviations
    long = max(alpha, 0.0) - 0.4 * max(-alpha, 0.0)  # short sales are hard: bad news shows less
    bent = 0.6 * alpha * abs(alpha) + 0.4 * soft  # only strong views act
    bent = min(max(bent, -4.0), 4.0)
    return Tilt(
        early_buy=0.38 * soft * intensity(rng),
        early_big=0.016 * soft * intensity(rng),
        early_even=0.14 * soft * intensity(rng),
        early_drift=0.22 * long * intensity(rng),
        middle_volume=0.08 * soft * intensity(rng),
        last_volume=-0.045 * soft * intensity(rng),
        fall=0.065 * soft * intensity(rng),
        late_fall=0.05 * bent * intensity(rng),
        reversal=0.08 * soft * intensity(rng),
        liveliness=0.14 * soft * intensity(rng),
        trend=0.20 * soft * intensity(rng),
        sell_tail=0.10 * soft * intensity(rng),
        buy_tail=-0.07 * soft * intensity(rng),
        bulk=0.005 * soft * intensity(rng),
        patience=0.014 * soft * intensity(rng),
        deep_size=0.13 * soft * intensity(rng),
        contrarian=0.22 * soft * intensity(rng),
        loose_count=0.10 * soft * intensity(rng),
        loose_range=0.12 * bent * intensity(rng),
        fall_size=0.07 * soft * intensity(rng),
        early_rise_count=0.10 * long * intensity(rng),
    )
