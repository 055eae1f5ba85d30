"""The setting ``source``: each kind of source, and the options of its reader."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SerializeAsAny, WrapValidator

from mg_assets.settings.own_sources import option_problems, own_kinds
from mg_assets.settings.values import (
    ABSENT,
    Above,
    Day,
    Each,
    FilePatterns,
    Flag,
    FromOne,
    FromZero,
    MappingByName,
    Number,
    Part,
    Text,
    TextByName,
    Texts,
    known_names,
    several,
    shown,
)


class SourceSettings(Part):
    """Where raw tables come from: the kind, and the options of its reader, each of which checks its values further."""

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """The options that were set."""
        return {name: value for name, value in self.given().items() if name != "kind"}


class SimulatedSettings(SourceSettings):
    """The fields of :class:`mg_assets.sources.simulated.settings.SimulationSettings`."""

    kind: Literal["simulated"]
    seed: FromZero = ABSENT
    stocks: FromOne = ABSENT
    start: Day = ABSENT
    end: Day = ABSENT
    tick_start: Day | None = ABSENT
    orders_per_stock: FromOne = ABSENT
    alpha_strength: Number = ABSENT
    alpha_half_life: Number = ABSENT
    listed_at_start: Number = ABSENT
    idiosyncratic_vol: Number = ABSENT
    industry_vol: Number = ABSENT
    market_vol: Number = ABSENT
    suspended_share: Number = ABSENT
    st_share: Number = ABSENT
    index_sizes: Annotated[tuple[FromOne, ...] | None, Each] = ABSENT


class DialectSettings(SourceSettings):
    """Files of trades and orders in the columns of one vendor."""

    kind: Literal["huatai", "exchange", "tonglian_tables"]
    root: Text
    files: FilePatterns | None = ABSENT
    stocks_only: Flag = ABSENT
    check_dates: Flag = ABSENT
    price_unit: Above = ABSENT


class TonglianSettings(DialectSettings):
    """The same in Tonglian's, or in those of the ``dialect`` that is named."""

    kind: Literal["tonglian"]  # type: ignore[assignment]
    dialect: Text = ABSENT


class QlibSettings(SourceSettings):
    """A folder of Qlib."""

    kind: Literal["qlib"]
    root: Text
    raw_prices: Flag = ABSENT
    raw_volume: Flag | None = ABSENT
    indices: TextByName | None = ABSENT


class RiceQuantSettings(SourceSettings):
    """A bundle of RiceQuant."""

    kind: Literal["ricequant"]
    root: Text


class MappedSettings(SourceSettings):
    """Files of anybody's that a YAML file or a preset maps."""

    kind: Literal["mapped"]
    config: Text
    root: Text
    files: FilePatterns | None = ABSENT
    price_unit: Above | None = ABSENT
    volume_unit: Above | None = ABSENT
    amount_unit: Above | None = ABSENT


class SnapshotSettings(SourceSettings):
    """Files of level-2 snapshots."""

    kind: Literal["snapshots"]
    root: Text
    files: FilePatterns | None = ABSENT
    symbols: Texts | None = ABSENT
    every: FromOne = ABSENT
    layouts: MappingByName | None = ABSENT


class OwnSourceSettings(SourceSettings):
    """A source of the user's own (:class:`mg_assets.sources.OwnSource`); its options are its constructor's."""

    model_config = ConfigDict(frozen=True, extra="allow")


def _of_own_kind(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Settings of a source of the user's own, else what the built-in kinds make of it."""
    own = own_kinds()
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not own or kind in SOURCES or not isinstance(kind, str):
        return handler(value)
    if kind not in own:
        raise several([(("kind",), f"was {shown(kind)}; {known_names(kind, [*SOURCES, *own])}")])
    problems = option_problems(kind, {n: v for n, v in value.items() if n != "kind"})
    if problems:
        raise several(problems)
    return OwnSourceSettings(**value)


class CompositeSettings(SourceSettings):
    """Several sources, asked in turn."""

    kind: Literal["composite"]
    sources: "list[AnySource]" = Field(min_length=1)


AnySource = Annotated[
    SimulatedSettings
    | TonglianSettings
    | DialectSettings
    | QlibSettings
    | RiceQuantSettings
    | MappedSettings
    | SnapshotSettings
    | CompositeSettings,
    Field(discriminator="kind"),
    WrapValidator(_of_own_kind),
    SerializeAsAny(),
]
CompositeSettings.model_rebuild()

SOURCES: dict[str, type[SourceSettings]] = {
    "simulated": SimulatedSettings,
    "tonglian": TonglianSettings,
    "huatai": DialectSettings,
    "exchange": DialectSettings,
    "tonglian_tables": DialectSettings,
    "qlib": QlibSettings,
    "ricequant": RiceQuantSettings,
    "mapped": MappedSettings,
    "snapshots": SnapshotSettings,
    "composite": CompositeSettings,
}
"""Settings of each kind of source."""
