"""In which unit results are: R where the risk of a trade is known, else as the user says; gross or net as well."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from dask_validator.errors import InputError
from dask_validator.trade_files.declaration import Format

R, RETURN, MONEY = "r", "return", "money"
UNITS = (R, RETURN, MONEY)
INCLUDED, EXCLUDED = "included", "excluded"
PER_CENT = 100  # a return is stored in per cent of the capital


class Results(NamedTuple):
    """The SQL of results in the unit wanted, over the columns of a declaration."""

    unit: str
    amount: str  # what the file says, before it is put into the unit
    result: str
    risk: str | None
    needs_risk: bool  # for the result
    cost: str | None
    uses_money: bool


def results(one: Format, found: Collection[str], place: str, *, unit: str | None, fees: str | None) -> Results:
    """What the file's results are in that unit, and what of them was costs.

    Raises
    ------
    InputError
        The unit or what became of the fees is not said, or the file cannot give it.
    """
    sql = {name: one.chosen(one.result, name, found) for name in ("r", "return", "money", "risk", "cost", "fees")}
    capital = one.chosen(one.result, "capital", found)
    wanted = _unit(sql, place, unit)
    fees_are = _fees(one, sql["fees"], place, fees)
    share = {R: sql["risk"], RETURN: capital, MONEY: "1"}[wanted]  # by which an amount of money is divided
    paid = f"({sql['fees']}) / ({share})" if sql["fees"] and share else None
    direct = {R: sql["r"], RETURN: sql["return"], MONEY: sql["money"]}[wanted]
    amount = direct or sql["money"] or ""
    gross = direct or f"({sql['money']}) / nullif({sql['risk']}, 0)"
    if fees_are == EXCLUDED:
        if paid is None:
            raise InputError(
                f"{place} has fees in money that are not taken off yet, and results in another unit; "
                "give results in money with --unit money, or a column for risk"
            )
        gross = f"({gross}) - coalesce({paid}, 0)"
    cost = sql["cost"] or paid
    scale = PER_CENT if wanted == RETURN else 1
    return Results(
        wanted,
        amount,
        f"({gross}) * {scale}" if scale != 1 else gross,
        sql["risk"],
        direct is None,
        f"({cost}) * {scale}" if cost else None,
        wanted == MONEY,
    )


def _unit(sql: dict[str, str | None], place: str, said: str | None) -> str:
    has = [unit for unit in UNITS if sql[unit]]
    if R not in has and sql["money"] and sql["risk"]:
        has.insert(0, R)
    if said is None and R in has:
        return R
    flags = " or ".join(f"--unit {unit}" for unit in has)
    if said is None:
        raise InputError(f"{place} does not say in which unit its results are to be taken; give {flags}")
    if said not in has:
        raise InputError(f"{place} has no results for --unit {said}; give {flags}")
    return said


def _fees(one: Format, fees: str | None, place: str, said: str | None) -> str | None:
    """Whether the fees, if there are any, are in the results already."""
    if one.fees_are is not None:
        if said not in (None, one.fees_are):
            raise InputError(
                f"--fees got {said}, but {one.tool} writes results with fees {one.fees_are}; leave the flag out"
            )
        return one.fees_are if fees else None
    if said is not None and not fees:
        raise InputError(f"--fees got {said}, but {place} has no column of fees; leave the flag out")
    if fees and said is None:
        raise InputError(
            f"{place} has fees, and nothing says whether its results are after them; give --fees included or "
            "--fees excluded"
        )
    return said if fees else None
