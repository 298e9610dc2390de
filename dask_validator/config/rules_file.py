"""Rules as a file: TOML in which a key is the flag with underscores (rules.md, section 9), and back.

`[instrument.SYM]` is for one symbol, `[costs.SYM]` what its round trips cost, `[promotion]` what is written,
`[[filter]]` how filters are read. Flags that the user gives win over the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from dask_validator.config.kinds import BadValue
from dask_validator.config.run_config import RunConfig
from dask_validator.config.toml_file import line_of, read_toml
from dask_validator.errors import BadRule, InputError

# By key, the switch that turns it off.
ANTONYMS = {"regime_waivers": "no_regime_waivers", "walkforward": "no_walkforward"}
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
        raise InputError(f"--rules got {rules}, which is no file and no profile; profiles: {', '.join(profiles())}")
    return profile


def profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(path.stem for path in Path(str(PROFILES)).glob("*.toml"))


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
            value = _merged(of_all.get(key), value)
            if symbol == instrument:
                yield key, value, ["instrument", symbol, key]
            else:  # so that a slip is found today, not when that symbol's turn comes
                yield f"?{key}", value, ["instrument", symbol, key]


def _merged(of_all: Any, own: Any) -> Any:
    """What is said of the symbol wins; of tables, name by name."""
    if not (isinstance(of_all, Mapping) and isinstance(own, Mapping)):
        return own
    return {**of_all, **{name: _merged(of_all.get(name), value) for name, value in own.items()}}


@contextmanager
def located(rules: str | Path | None) -> Iterator[None]:
    """What the block refuses of the rules is said with the line of the file."""
    try:
        yield
    except BadRule as error:
        if rules is None:
            raise
        path = found(rules)
        line = line_of(read_toml(path, "--rules")[1], error.keys)
        raise InputError(f"--rules {path}, line {line}: {error}") from None


def _field(key: str, value: Any, at: str) -> dict[str, Any]:
    """The field that a key means, its value checked by itself. Raises InputError."""
    only_checked, name = key.startswith("?"), key.removeprefix("?")
    if name not in KEYS:
        meant = get_close_matches(name, sorted(KEYS), n=1)
        known = (
            f"did you mean {meant[0]}?" if meant else f"known: {', '.join(sorted(KEYS))}, and tables [instrument.SYM]"
        )
        raise InputError(f"{at} is no rule; {known}")
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
    except BadValue as error:
        raise InputError(f"{at} = {value!r}; needed {error.needed}") from None
    except InputError as error:
        raise InputError(f"{at}: {error}") from None


def as_toml(config: RunConfig) -> str:
    """The settings as a file that gives them back: all that is not as it is without one."""
    import tomli_w  # which runs need not load

    usual = RunConfig()
    said = {name: value for name, value in asdict(config).items() if getattr(config, name) != getattr(usual, name)}
    said = {name: value for name, value in said.items() if name not in ("dry_run", "instruments")}
    if "promotion" in said:
        modes = said["promotion"].pop("modes")
        said["promotion"] = _given(said["promotion"])
        if modes is not None:
            said["promotion"]["modes"] = {"column": modes["column"], "default": modes["default"], **modes["named"]}
    said |= {key: not said.pop(field) for key, field in ANTONYMS.items() if field in said}
    said |= {key: said.pop(field) for key, field in RENAMED.items() if field in said}
    return tomli_w.dumps({name: str(value) if isinstance(value, Path) else value for name, value in said.items()})


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value not in (None, (), {})}
