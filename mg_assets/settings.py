"""Settings of a deployment: where the lake is, which source fills it, which dates exist.

A YAML file named by ``MG_SETTINGS`` (by default ``deploy/demo.yaml`` of the checkout, where there
is one), each value overridden by its environment variable. Nothing needs to be set.
"""

import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import yaml

from mg_assets.errors import DataError

CHECKOUT = Path(__file__).parents[1]
DEFAULT_FILE = CHECKOUT / "deploy" / "demo.yaml"


@dataclass(frozen=True)
class Settings:
    """A deployment's settings.

    Attributes
    ----------
    lake : str
        Folder or fsspec URL of the lake (``MG_LAKE``).
    source : dict
        ``kind`` and options for :func:`mg_assets.sources.build_source` (``MG_SOURCE``, JSON).
    end_date : str
        Last trading-day partition, ``"today"`` for an open end, empty for the source's last day
        (``MG_END_DATE``).
    first_model : str
        First half-year for which models are trained, as ``2016H1`` (``MG_FIRST_MODEL``).
    catalog : list of str
        Signals that the graph holds, by their names in the model catalog: models, heads, and fusions, which bring
        the models of their parts (``MG_CATALOG``, comma-separated).
    models : dict
        Overrides of catalog hyper-parameters by model name, e.g. ``{"hf_gru": {"seeds": [1]}}``
        (``MG_MODELS``, JSON).
    portfolios : list of str
        Names in the portfolio catalog that the graph builds (``MG_PORTFOLIOS``, comma-separated).
    signals : dict
        Another signal for a portfolio, e.g. ``{"csi300_turnover30": "lf_multitask"}`` (``MG_SIGNALS``, JSON).
    trading : dict
        How portfolios trade, see :class:`mg_assets.portfolios.trading_rules.TradingRules`: the report's costs by
        default, e.g. ``{"costs": "chinese", "capital": 5e8, "participation": 0.1, "lots": true}``
        (``MG_TRADING``, JSON).
    accepted : dict
        Partitions that a person has looked at and accepts although a blocking check fails, by table and check, e.g.
        ``{"labels": {"finite": ["2015-07-07"]}}``: the check warns there (``MG_ACCEPTED``, JSON).
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps`` (``MG_DEVICE``).
    workers : int
        Threads and processes used inside an asset; 0 is one for each core (``MG_WORKERS``).
    evaluation : dict
        What factors and signals are judged under: ``universes``, ``executions`` and ``every``, the first of each
        being the main case, and ``whole`` for every combination of them; docs/evaluation.md
        (``MG_EVALUATION``, JSON).
    training_logs : str
        ``tensorboard`` writes each training's curves as TensorBoard files into the lake's ``.tensorboard``,
        ``tensorboard:<folder>`` elsewhere; empty for none (``MG_TRAINING_LOGS``).
    webhook : str
        URL that a failed run is posted to; empty for none (``MG_WEBHOOK``).
    language : str
        Of the weekly report, ``en`` or ``zh`` (``MG_LANGUAGE``).
    run : dict
        What ``mg run`` builds: ``daily_from``, ``ticks_from``, ``tick_days``, ``until``, ``half_years``
        and ``portfolios_from``.
    """

    lake: str = "lake/demo"
    source: dict = field(default_factory=lambda: {"kind": "simulated"})
    end_date: str = ""
    first_model: str = "2016H1"
    catalog: tuple[str, ...] = ("hf_gru", "lf_multitask")
    models: dict = field(default_factory=dict)
    portfolios: tuple[str, ...] = ("csi500_turnover30", "csi1000_turnover30")
    signals: dict = field(default_factory=dict)
    trading: dict = field(default_factory=dict)
    evaluation: dict = field(default_factory=dict)
    accepted: dict = field(default_factory=dict)
    device: str = "auto"
    workers: int = 0
    training_logs: str = ""
    webhook: str = ""
    language: str = "en"
    run: dict = field(default_factory=dict)

    @property
    def lake_url(self) -> str:
        """The lake's place; relative folders stand in the checkout."""
        return self.lake if "://" in self.lake else str((CHECKOUT / Path(self.lake).expanduser()).resolve())

    @property
    def worker_count(self) -> int:
        """Workers as a positive number."""
        return self.workers or os.cpu_count() or 1

    def digest(self, *names: str) -> str:
        """Short hash of the named settings."""
        text = json.dumps({n: getattr(self, n) for n in names}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the deployment's settings once a process."""
    return load_settings(os.environ.get("MG_SETTINGS"))


def load_settings(file: str | None = None) -> Settings:
    """Read a settings file and the environment; an unknown key is an error that lists the known ones."""
    path = Path(file) if file else DEFAULT_FILE
    if file and not path.is_absolute():
        path = path if path.exists() else CHECKOUT / path
    if not path.exists():
        if file:
            raise DataError(f"settings file {file} is absent; MG_SETTINGS names a YAML file")
        values: dict = {}
    else:
        # $MG_DATA and other variables may stand in values: the place of data differs by machine
        values = yaml.safe_load(os.path.expandvars(path.read_text())) or {}
    known = {f.name for f in fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise DataError(f"{path}: unknown settings {unknown}; known are {sorted(known)}")
    for name in known - {"run"}:
        raw = os.environ.get(f"MG_{name.upper()}")
        if raw is not None:
            values[name] = _parse(name, raw)
    for name, value in values.items():
        if isinstance(value, dt.date):
            values[name] = value.isoformat()
    for name in ("portfolios", "catalog"):
        if name in values:
            values[name] = tuple(values[name])
    if "accepted" in values:  # YAML reads dates as dates
        values["accepted"] = {
            table: {check: tuple(str(k) for k in keys) for check, keys in checks.items()}
            for table, checks in values["accepted"].items()
        }
    return Settings(**values)


def _parse(name: str, raw: str) -> object:
    if name in ("source", "models", "signals", "trading", "accepted", "evaluation"):
        try:
            return json.loads(raw)
        except json.JSONDecodeError as error:
            raise DataError(f"MG_{name.upper()} is not JSON: {error}") from error
    if name in ("portfolios", "catalog"):
        return [p.strip() for p in raw.split(",") if p.strip()]
    return int(raw) if name == "workers" else raw
