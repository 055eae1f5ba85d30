"""Chinese texts of the checks, for the weekly report: what each expects, and what it measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

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
}
_WORDS = {"missing": "缺失", "not in the schema": "不在表结构中"}


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
        _KEYS.get(k, k): _WORDS.get(str(v), v)
        for k, v in breach.items()
        if k not in ("partition", "measure", "observed")
    }
    where = "，".join(f"{key} {value}" for key, value in more.items())
    head = f"{measure_name(breach['measure'])} = {breach['observed']}" if "measure" in breach else ""
    return head + (f"（{where}）" if where else "")
