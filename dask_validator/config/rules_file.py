"""Rules as a file: TOML in which a key is the flag with underscores (rules.md, section 9), and back.

`[instrument.SYM]` is for one symbol, `[costs.SYM]` what its round trips cost, `[promotion]` what is written,
`[[filter]]` how filters are read. Flags that the user gives win over the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from dask_validator.config.run_config import RunConfig
from dask_validator.config.toml_file import line_of, read_toml
from dask_validator.errors import InputError

ANTONYMS = {
    "regime_waivers": "no_regime_waivers",
    "walkforward": "no_walkforward",
}  # keys by the switch
RENAMED = {"gates": "gate"}
NOT_IN_FILES = {*ANTONYMS.values(), *RENAMED.values(), "dry_run", "instruments"}
KEYS = (*(each.name for each in fields(RunConfig) if each.name not in NOT_IN_FILES), *ANTONYMS, *RENAMED)
PROFILES = resources.files("dask_validator") / "profiles"


def load_rules(rules: str | Path | None, instrument: str, **flags: Any) -> RunConfig:
    """The settings of a file, or of a profile that comes with the package, for one symbol; flags win over it.

    Raises
    ------
    InputError
        There is no such file, or it has an unknown key or a value that no run could use: its line is named.
    """
    if rules is None:
        return RunConfig(**flags)
    path = found(rules)
    tables, text = read_toml(path, "--rules")
    values: dict[str, Any] = {}
    for key, value, where in _entries(tables, instrument):
        at = f"--rules {path}, line {line_of(text, where)}: {'.'.join(where)}"
        values |= _field(key, value, at)
    try:
        return RunConfig(**values | flags)
    except InputError as error:
        raise InputError(f"{error} (with --rules {path})") from None


def found(rules: str | Path) -> Path:
    """The file itself, or the profile of that name."""
    path = Path(rules)
    if path.exists() or path.suffix == ".toml" or len(path.parts) > 1:
        return path
    profile = Path(str(PROFILES / f"{rules}.toml"))
    if not profile.is_file():
        known = ", ".join(profiles()) or "none"
        raise InputError(f"--rules got {rules}, which is no file and no profile; profiles: {known}")
    return profile


def profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    folder = Path(str(PROFILES))
    return sorted(path.stem for path in folder.glob("*.toml")) if folder.is_dir() else []


def _entries(tables: Mapping[str, Any], instrument: str) -> Iterator[tuple[str, Any, list[str]]]:
    """Keys, values and where each stands; what is said of the symbol comes last, merged with what is said of all."""
    of_all = {key: value for key, value in tables.items() if key != "instrument"}
    for key, value in of_all.items():
        yield key, value, [key]
    symbols = tables.get("instrument", {})
    if not isinstance(symbols, Mapping) or not all(isinstance(table, Mapping) for table in symbols.values()):
        raise InputError("instrument is no table of symbols; needed [instrument.SYM]")
    for symbol, own in symbols.items():
        for key, value in own.items():
            if isinstance(value, Mapping) and isinstance(of_all.get(key), Mapping):
                value = {**of_all[key], **value}
            if symbol == instrument:
                yield key, value, ["instrument", symbol, key]
            else:  # so that a slip is found today, not when that symbol's turn comes
                yield f"?{key}", value, ["instrument", symbol, key]


def _field(key: str, value: Any, at: str) -> dict[str, Any]:
    """The field that a key means, its value checked by itself. Raises InputError."""
    only_checked, name = key.startswith("?"), key.removeprefix("?")
    if name not in KEYS:
        raise InputError(f"{at} is no rule; known: {', '.join(sorted(KEYS))}, and tables [instrument.SYM]")
    if name in ANTONYMS:
        if not isinstance(value, bool):
            raise InputError(f"{at} = {value!r}; needed true or false")
        name, value = ANTONYMS[name], not value
    name = RENAMED.get(name, name)
    _check_alone(name, value, at)
    return {} if only_checked else {name: value}


def _check_alone(name: str, value: Any, at: str) -> None:
    if name in ("min_wfe", "wf_train_trades", "small_wf_train_trades"):  # need others, which are checked in the end
        return
    try:
        RunConfig(**{name: value})
    except InputError as error:
        _, _, needed = str(error).partition("; needed ")
        raise InputError(f"{at} = {value!r}; needed {needed}" if needed else f"{at}: {error}") from None


def as_toml(config: RunConfig) -> str:
    """The settings as a file that gives them back."""
    back = {field: key for key, field in RENAMED.items()}
    plain: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for name, value in asdict(config).items():
        if name in ("dry_run", "instruments", "filter") or value is None or value == getattr(RunConfig(), name):
            continue
        key = back.get(name, name)
        if name in ANTONYMS.values():
            key, value = next(key for key, field in ANTONYMS.items() if field == name), not value
        (tables if isinstance(value, Mapping) else plain)[key] = value
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for key, table in tables.items():
        lines += _table(key, _promotion(table) if key == "promotion" else table)
    for entry in config.filter:
        lines += ["", "[[filter]]", *(f"{name} = {_toml(value)}" for name, value in entry.items())]
    return "\n".join(lines) + "\n"


def _promotion(table: Mapping[str, Any]) -> dict[str, Any]:
    modes = table["modes"] or {}
    modes = {name: value for name, value in modes.items() if name != "named"} | modes.get("named", {})
    known = {name: value for name, value in table.items() if name != "modes" and value not in (None, (), {})}
    return known | ({"modes": modes} if modes else {})


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{name}]", *(f"{_key(key)} = {_toml(value)}" for key, value in plain.items())]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _table(f"{name}.{_key(key)}", value)
    return lines


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return json.dumps(str(value), ensure_ascii=False) if isinstance(value, str | Path) else repr(value)
