"""Week, month and year to date, and months and weeks won, from daily returns."""

import datetime
from dataclasses import dataclass

import numpy as np

from mg_portfolio.arguments import EvaluationError

Day = datetime.date | np.datetime64 | str


@dataclass(frozen=True)
class Period:
    """Calendar days from ``start`` to ``end``, inclusive."""

    start: datetime.date
    end: datetime.date

    def __str__(self) -> str:
        """As the published numbers write it: ``2023-12-11/2023-12-15``."""
        return f"{self.start}/{self.end}"


@dataclass(frozen=True)
class PeriodReturn:
    """A compounded return and its days.

    Attributes
    ----------
    value : float
        Fraction; NaN without a day of data.
    days : int
        Days with a return.
    first : datetime.date or None
        First of them.
    complete : bool
        No day missing in between, and the series does not begin after the period's first trading day.
    """

    value: float
    days: int
    first: datetime.date | None
    complete: bool


def report_periods(as_of: Day) -> dict[str, Period]:
    """The week (from Monday), month to date and year to date that end on ``as_of``."""
    end = _date(as_of)
    return {
        "week": Period(end - datetime.timedelta(days=end.weekday()), end),
        "month": Period(end.replace(day=1), end),
        "year": Period(end.replace(month=1, day=1), end),
    }


def period_return(days: np.ndarray, returns: np.ndarray, period: Period) -> PeriodReturn:
    """Compounded return of the days of a period.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    returns : ndarray of float (D,)
        Daily returns, fractions; NaN where there is none.
    period : Period

    Returns
    -------
    PeriodReturn
    """
    days, returns = _series(days, returns)
    inside = (days >= np.datetime64(period.start)) & (days <= np.datetime64(period.end))
    values = returns[inside]
    finite = np.isfinite(values)
    if not finite.any():
        return PeriodReturn(np.nan, 0, None, False)
    first = days[inside][finite][0].astype(object)
    # A series that has days before the period covers its start; else its first day must come within the week
    covered = bool((days < np.datetime64(period.start)).any()) or (first - period.start).days <= 7
    complete = bool(finite.all()) and covered and bool(days[-1] >= np.datetime64(period.end))
    return PeriodReturn(float(np.prod(1.0 + values[finite]) - 1.0), int(finite.sum()), first, complete)


def periods_won(days: np.ndarray, returns: np.ndarray, period: Period, unit: str = "month") -> tuple[int, int]:
    """Calendar months (or weeks) with a positive compounded return, and how many there are so far.

    A week that straddles the period's start counts with the days inside; the current month or week counts to date.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
    returns : ndarray of float (D,)
        Daily returns, fractions. A month without a finite return is not counted.
    period : Period
    unit : {"month", "week"}
        Weeks run from Monday to Sunday.

    Returns
    -------
    won, total : int

    Raises
    ------
    EvaluationError
        Another unit, arrays of different lengths, or days out of order.
    """
    if unit not in ("month", "week"):
        raise EvaluationError(f"unit was {unit!r}, expected 'month' or 'week'")
    days, returns = _series(days, returns)
    at = (days >= np.datetime64(period.start)) & (days <= np.datetime64(period.end)) & np.isfinite(returns)
    # 1970-01-01 was a Thursday: weeks since Monday 1969-12-29
    label = days[at].astype("datetime64[M]").astype(int) if unit == "month" else (days[at].astype(int) + 3) // 7
    growth = {key: np.prod(1.0 + returns[at][label == key]) for key in np.unique(label)}
    return sum(bool(g > 1.0) for g in growth.values()), len(growth)


def _series(days: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    days, returns = np.asarray(days, "datetime64[D]"), np.asarray(returns, np.float64)
    if days.shape != returns.shape or days.ndim != 1:
        raise EvaluationError(f"returns had shape {returns.shape} on {days.shape} days, expected one a day")
    if (days[1:] <= days[:-1]).any():
        at = int(np.flatnonzero(days[1:] <= days[:-1])[0])
        raise EvaluationError(f"days were not ascending: {days[at + 1]} follows {days[at]}")
    return days, returns


def _date(day: Day) -> datetime.date:
    return np.asarray(day, "datetime64[D]").item()
