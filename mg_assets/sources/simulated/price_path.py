"""A stock's day before its orders: the fair price every quarter of a minute, and each minute's share of the volume.

The continuous session has 237 minutes (09:30-11:30, 13:00-14:57). The fair price is a bridge from the opening to the
closing price whose shocks have a U-shaped, clustered volatility, some skewness and a little reversal.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.sources.simulated.kernel_random import normal, uniform

MINUTES = 237
QUARTERS = 4
STEPS = MINUTES * QUARTERS


class Course(NamedTuple):
    """Work arrays of one stock's day.

    Attributes
    ----------
    fair : (949,) float
        Log of the fair price over the opening price, at the start of each quarter minute and at the end.
    volume : (237,) float
        Each minute's share of the continuous session's volume; sums to 1.
    arrivals : (237,) float
        Each minute's share of the orders; sums to 1.
    shock : (237,) float
        The minute's return shock in standard deviations.
    scale : (237,) float
        The minute's return deviation (fraction).
    """

    fair: np.ndarray
    volume: np.ndarray
    arrivals: np.ndarray
    shock: np.ndarray
    scale: np.ndarray


def new_course() -> Course:
    """Empty work arrays."""
    return Course(np.zeros(STEPS + 1), np.zeros(MINUTES), np.zeros(MINUTES), np.zeros(MINUTES), np.zeros(MINUTES))


@njit(nogil=True)
def draw_path(course, rng, tilt, total_return, volatility):
    """Draw the fair path of one day.

    Parameters
    ----------
    course : Course
        ``fair``, ``shock`` and ``scale`` are written.
    rng : (1,) uint64
    tilt : Tilt
    total_return : float
        Log return from the opening to the last fair price, met exactly.
    volatility : float
        Standard deviation of the day's log return (fraction).
    """
    cluster = normal(rng)
    energy = 0.0
    for m in range(MINUTES):
        cluster = 0.9 * cluster + 0.436 * normal(rng)  # hours, not minutes, of excitement
        smile = 0.8 + 1.3 * np.exp(-m / 14.0) + 0.3 * np.exp(-(MINUTES - m) / 15.0)
        course.scale[m] = smile * np.exp(0.28 * cluster + 0.22 * normal(rng))
        energy += course.scale[m] ** 2
    unit = volatility / np.sqrt(energy)

    last = 0.0
    total = 0.0
    for m in range(MINUTES):
        fall = tilt.fall + (tilt.late_fall if m >= 210 else 0.0)
        z = normal(rng)
        z = (z - fall * (z * z - 1.0)) / np.sqrt(1.0 + 2.0 * fall * fall)
        course.shock[m] = z
        course.scale[m] *= unit
        total += course.scale[m] * (z - (0.03 + tilt.reversal) * last)
        if m < 30:
            total += tilt.early_drift * volatility / 30.0
        last = z

    trend = np.exp(tilt.trend)
    phase = 2.0 * np.pi * (0.7 + 0.2 * normal(rng)) / MINUTES
    turn = 2.0 * uniform(rng) - 1.0
    swing = volatility * (0.5 * turn + (0.2 if turn > 0.0 else -0.2)) * trend
    missing = total_return - total - swing * np.sin(phase * MINUTES)
    level, last = 0.0, 0.0
    for m in range(MINUTES):
        move = course.scale[m] * (course.shock[m] - (0.03 + tilt.reversal) * last)
        if m < 30:
            move += tilt.early_drift * volatility / 30.0
        move += swing * (np.sin(phase * (m + 1)) - np.sin(phase * m))
        last = course.shock[m]
        share = course.scale[m] ** 2 / (unit * unit * energy)
        move += missing * share
        noise_1, noise_2, noise_3, noise_4 = normal(rng), normal(rng), normal(rng), normal(rng)
        mean = 0.25 * (noise_1 + noise_2 + noise_3 + noise_4)
        wiggle = 0.5 * course.scale[m]
        course.fair[4 * m] = level
        course.fair[4 * m + 1] = level + 0.25 * move + wiggle * (noise_1 - mean)
        course.fair[4 * m + 2] = level + 0.50 * move + wiggle * (noise_1 + noise_2 - 2.0 * mean)
        course.fair[4 * m + 3] = level + 0.75 * move + wiggle * (noise_1 + noise_2 + noise_3 - 3.0 * mean)
        level += move
    course.fair[STEPS] = level


@njit(nogil=True)
def draw_volume(course, rng, tilt):
    """Draw each minute's share of the volume and of the orders; needs :func:`draw_path`'s shocks and scales."""
    coupling = min(max(0.55 - tilt.loose_range, 0.0), 0.95)
    elasticity = min(max(0.62 - tilt.loose_count, 0.2), 1.0)
    own = np.sqrt(1.0 - coupling * coupling)
    half_hour = 0.0
    wave = normal(rng)
    volumes, counts = 0.0, 0.0
    for m in range(MINUTES):
        if m % 30 == 0:
            half_hour = 0.10 * normal(rng)
            if m >= 210:
                half_hour += tilt.last_volume
            elif m >= 30:
                half_hour += tilt.middle_volume
        smile = 0.55 + 1.5 * np.exp(-m / 20.0) + 0.45 * np.exp(-(MINUTES - m) / 14.0)
        if m >= 120:
            smile += 0.35 * np.exp(-(m - 120) / 8.0)  # orders gathered over lunch
        wave = 0.8 * wave + 0.6 * normal(rng)
        shock = coupling * (abs(course.shock[m]) - 0.8) / 0.6 + own * wave
        size = np.exp(0.5 * shock + half_hour - tilt.fall_size * course.shock[m] * (m >= 30))
        course.volume[m] = smile * size
        course.arrivals[m] = smile**0.75 * (size**elasticity) * np.exp(0.12 * normal(rng))
        if m < 30:
            rise = np.exp(tilt.early_rise_count * course.shock[m])
            course.volume[m] *= rise
            course.arrivals[m] *= rise
        volumes += course.volume[m]
        counts += course.arrivals[m]
    for m in range(MINUTES):
        course.volume[m] /= volumes
        course.arrivals[m] /= counts
