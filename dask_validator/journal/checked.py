"""What a sound line may hold: whoever can write a checksum can write anything else.

Raises everywhere: one of `UNSOUND` for what this package has never written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

UNSOUND = (KeyError, TypeError, ValueError, IndexError, OverflowError)
FITS = 2**31  # an INTEGER of the database, a PID
_FITS = {"fingerprint": 2**64, "offset": 2**63}

# The types of JSON that stand for those which a field is declared with; parts of an answer are kept as lists.
_STANDS_FOR: Mapping[str, set[type]] = {
    "str": {str},
    "str | None": {str, NoneType},
    "bool": {bool},
    "int": {int},
    "int | None": {int, NoneType},
    "float": {float, int},
    "float | None": {float, int, NoneType},
    "SeasonSplit | None": {list, NoneType},
    "Holdout | None": {list, NoneType},
    "Walked | None": {int, NoneType},  # its position
    "NDArray[np.void]": {int},  # how many windows
}


def check_rows(kind: type, rows: Sequence[Sequence[Any]]) -> None:
    """Refuse rows that are no records of that NamedTuple; column by column, as a million rows take their time."""
    columns = list(zip(*rows, strict=True))
    if rows and len(columns) != len(kind.__annotations__):
        raise ValueError(f"no rows of {kind.__name__}")
    for (name, declared), column in zip(kind.__annotations__.items(), columns, strict=False):
        found = set(map(type, column))
        if not found <= _STANDS_FOR[declared.__forward_arg__]:
            raise TypeError(f"{name} of {kind.__name__}")
        if int in found:
            numbers = [value for value in column if type(value) is int]
            check_range(min(numbers), name)
            check_range(max(numbers), name)
        if str in found:
            "".join(value for value in column if value is not None).encode()


def check_range(number: int, name: str = "") -> None:
    """Refuse what is too large to go anywhere."""
    limit = _FITS.get(name, FITS)
    if not -limit <= number < limit:
        raise ValueError(f"{name} is {number:.3g}")


def check_types(kinds: type | tuple[type, ...], values: Sequence[Any]) -> None:
    """Refuse values of any other type; True is no number."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not set(map(type, values)) <= set(kinds):
        raise TypeError(f"needed {kinds}")


def text(value: Any) -> str:
    """A text that can be written down."""
    check_types(str, [value])
    value.encode()
    if "\0" in value:
        raise ValueError("NUL")
    return str(value)


def number(value: Any, name: str = "") -> int:
    """A whole number of a size that the name admits."""
    check_types(int, [value])
    check_range(value, name)
    if value < 0:
        raise ValueError(f"{name} is {value}")
    return int(value)


def flag(value: Any) -> bool:
    """True or false."""
    check_types(bool, [value])
    return bool(value)


def texts(value: Any) -> dict[str, str]:
    """Texts by name."""
    return {text(name): text(of_name) for name, of_name in dict(value).items()}


def settings(value: Any) -> dict[str, Any]:
    """As `commit.settings` makes them; the rules themselves are checked by whoever goes by them."""
    text(value["config"]["wf_output"])
    flag(value["resume"])
    if value.get("keep_runs") is not None:
        number(value["keep_runs"])
    if selection := value.get("selection"):
        text(selection["which"])
        for ids in (selection.get("ids"), selection.get("found")):
            check_types(str, ids or [])
    check_types((float, int), value["costs"])
    return dict(value)
