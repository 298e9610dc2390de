"""A rules file for one instrument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .screening import COSTS
from .settings import GatesOnly, Promotion, Settings

NEGATED = {"regime_waivers": "no_regime_waivers", "walkforward": "no_walkforward"}


def promotion(table: Mapping[str, Any]) -> Promotion:
    """The table `promotion` (rules.md, section 9)."""
    modes = dict(table.get("modes", {}))
    return Promotion(
        copy=tuple(table.get("copy", ())),
        constants=table.get("constants", {}),
        mode_column=modes.pop("column", "validation_mode"),
        default_mode=modes.pop("default", None),
        modes=modes,
        noise_floor=table.get("noise_floor"),
        run_log=table.get("run_log"),
    )


def settings_for(rules: Mapping[str, Any], instrument: str) -> Settings:
    """The settings of one instrument: its own table wins (rules.md, section 9)."""
    own = rules.get("instrument", {}).get(instrument, {})
    written = {**rules.get("promotion", {}), **own.get("promotion", {})}
    values: dict[str, Any] = {"promotion": promotion(written)}
    for name, value in {**rules, **own}.items():
        if name in ("instrument", "promotion", "costs"):
            continue
        if name in NEGATED:
            values[NEGATED[name]] = not value
        elif name == "gates_only":
            values[name] = GatesOnly(value["not_null"], value["created_after"])
        elif isinstance(value, list):
            values[name] = tuple(value)
        else:
            values[name] = value
    return Settings(**values)


def costs_for(rules: Mapping[str, Any], instrument: str) -> Mapping[str, float]:
    """The costs of one instrument: the file's, else those of rules.md, section 7."""
    costs: Mapping[str, float] = rules.get("costs", {}).get(instrument) or COSTS[instrument]
    return costs
