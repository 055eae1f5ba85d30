"""Chinese texts of the checks, for the weekly report: what each expects, and what it measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mg_portfolio.report.weekly.names import limit_name

_TEXTS: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "chinese.yaml").read_text(encoding="utf-8"))
_KEYS = {
    "row": "行",
    "symbol": "证券",
    "column": "字段",
    "fault": "问题",
    "label": "标签",
    "stocks": "股票数",
    "value": "值",
    "limit": "限额",
    "returned": "收益率",
    "what": "内容",
    "rank_ic": "RankIC",
    "limits": "限额",
    "relaxed": "放宽",
}
_WORDS = {"missing": "缺失", "not in the schema": "不在表结构中"}
_OF_LIMITS = ("limit", "limits", "relaxed")  # whose values name a portfolio's limits


def measure_name(measure: str) -> str:
    """A measure in Chinese; its own name where it is a user's rule."""
    share = measure.removesuffix("_share")
    names = _TEXTS["measures"]
    return f"{names[share]}占比" if measure not in names and share in names else names.get(measure, measure)


def description_of(description: str) -> str:
    """What a check expects in Chinese; as it is where it is a user's rule."""
    return _TEXTS["descriptions"].get(description, description)


def found(breach: Mapping[str, Any]) -> str:
    """What a check found, in Chinese.

    Parameters
    ----------
    breach : dict
        Of :attr:`~mg_assets.quality.suite.CheckOutcome.bad`.

    Returns
    -------
    str
        The measure, its value and the offending row; columns by their own names.
    """
    more = {
        _KEYS.get(k, k): _limits(str(v)) if k in _OF_LIMITS else _WORDS.get(str(v), v)
        for k, v in breach.items()
        if k not in ("partition", "measure", "observed")
    }
    where = "，".join(f"{key} {value}" for key, value in more.items())
    head = f"{measure_name(breach['measure'])} = {figure(breach['observed'])}" if "measure" in breach else ""
    return head + (f"（{where}）" if where else "")


def figure(observed: Any) -> Any:
    """A count without a decimal point."""
    return int(observed) if isinstance(observed, float) and observed.is_integer() else observed


def _limits(text: str) -> str:
    """Limits by name, with what follows: ``turnover``, or ``industry[Banks] by 0.01``."""
    parts = (part.partition(" by ") for part in text.split(", "))
    return "，".join(f"{limit_name(name, 'zh')} {amount}".strip() for name, _, amount in parts)
