"""Settings of a deployment: where the lake is, which source fills it, which dates exist.

A YAML file named by ``MG_SETTINGS`` (by default ``deploy/demo.yaml`` of the checkout, if present); an environment
variable overrides each value. Nothing needs to be set.
"""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

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
        Signal of a portfolio in place of the catalog's, e.g. ``{"csi300_turnover30": "lf_multitask"}``
        (``MG_SIGNALS``, JSON).
    trading : dict
        How portfolios trade, see :class:`mg_assets.portfolios.trading_rules.TradingRules`: the report's costs by
        default, e.g. ``{"costs": "chinese", "capital": 5e8, "participation": 0.1, "lots": true}``
        (``MG_TRADING``, JSON).
    accepted : dict
        Partitions that are accepted although a blocking check fails, by table and check, e.g.
        ``{"labels": {"finite": ["2015-07-07"]}}``: the check only warns there (``MG_ACCEPTED``, JSON).
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps`` (``MG_DEVICE``).
    workers : int
        Threads and processes used inside an asset; 0 is one for each core (``MG_WORKERS``).
    evaluation : dict
        Cases that factors and signals are evaluated under: ``universes``, ``executions`` and ``every`` (trading days
        between rebalances), the first of each being the main case, and ``whole`` for every combination of them;
        docs/evaluation.md (``MG_EVALUATION``, JSON).
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
        """Lake root; relative paths are resolved against the checkout."""
        return self.lake if "://" in self.lake else str((CHECKOUT / Path(self.lake).expanduser()).resolve())

    @property
    def source_options(self) -> dict:
        """Options of the source, without its kind."""
        return {name: value for name, value in self.source.items() if name != "kind"}

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
    """Settings of a file and the environment.

    Parameters
    ----------
    file : str, optional
        Relative to the working directory or to the checkout; :data:`DEFAULT_FILE`, which may be absent, by default.

    Returns
    -------
    Settings

    Raises
    ------
    DataError
        The file is absent, is not YAML, or has an unknown setting; or a variable of the environment is not JSON.
    """
    path = Path(file) if file else DEFAULT_FILE
    if file and not path.is_absolute() and not path.exists():
        path = CHECKOUT / path
    if file and not path.exists():
        raise DataError(f"settings file {file} is absent; MG_SETTINGS names a YAML file")
    values = read_settings_file(path, expand=True)
    known = {f.name for f in fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise DataError(f"{path}: unknown settings {unknown}; known are {sorted(known)}")
    values |= _of_environment(known - {"run"})
    return Settings(**{name: _typed(name, value) for name, value in values.items()})


def read_settings_file(path: Path, expand: bool = False) -> dict[str, Any]:
    """What a settings file holds; nothing where it is absent.

    Parameters
    ----------
    path : Path
    expand : bool
        Replace ``$MG_DATA`` and other environment variables: the path of data differs by machine.

    Returns
    -------
    dict
        Setting -> value as in YAML.

    Raises
    ------
    DataError
        The file is not YAML, or holds no mapping.
    """
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(os.path.expandvars(text) if expand else text)
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values or {}, dict):
        raise DataError(f"{path} must hold settings as name: value, was {type(values).__name__}")
    return values or {}


def write_settings_file(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a settings file atomically; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def replace_text(path: Path, text: str) -> None:
    """Replace a small file atomically: a reader or a crash sees either the old text or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.write_text(text, encoding="utf-8", newline="")
    os.replace(beside, path)


def _of_environment(names: Iterable[str]) -> dict[str, object]:
    """Settings whose environment variable is set."""
    given = {name: os.environ.get(f"MG_{name.upper()}") for name in names}
    return {name: _parse(name, raw) for name, raw in given.items() if raw is not None}


def _typed(name: str, value: Any) -> Any:
    """A value as :class:`Settings` holds it; YAML reads dates as dates."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if name in ("portfolios", "catalog"):
        return tuple(value)
    if name == "accepted":
        return {
            table: {check: tuple(str(k) for k in keys) for check, keys in checks.items()}
            for table, checks in value.items()
        }
    return value


def _parse(name: str, raw: str) -> object:
    if name in ("source", "models", "signals", "trading", "accepted", "evaluation"):
        try:
            return json.loads(raw)
        except json.JSONDecodeError as error:
            raise DataError(f"MG_{name.upper()} is not JSON: {error}") from error
    if name in ("portfolios", "catalog"):
        return [p.strip() for p in raw.split(",") if p.strip()]
    return int(raw) if name == "workers" else raw
