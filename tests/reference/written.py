"""The twin's answers in a database."""

from __future__ import annotations

from typing import Any

import duckdb


def names_of(con: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """The columns of a table."""
    return {name for name, *_ in con.execute(f"DESCRIBE {table}").fetchall()}


def write_strategy(con: duckdb.DuckDBPyConnection, strategy_id: str, answer: dict[str, Any], by_rules: bool) -> None:
    """One row of `experimental_strategies` (rules.md, sections 1 and 9)."""
    note = None if answer["phase"] is None else f"Phase {answer['phase']}: rejected"
    values = {"validation_status": answer["status"], "validation_notes": note}
    if answer["dst"] is not None:
        dst = ("dst_winter_n", "dst_winter_avg_r", "dst_summer_n", "dst_summer_avg_r", "dst_verdict")
        values |= dict(zip(dst, answer["dst"], strict=True))
    if by_rules and answer["status"] != "FAILED":
        values["rejection_reason"] = note
        values["c8_oos_status"] = answer["word"]
        values["validation_pathway"] = answer["pathway"]
    present = names_of(con, "experimental_strategies")
    values = {name: value for name, value in values.items() if name in present}
    changes = ", ".join(f"{name} = ?" for name in values)
    con.execute(f"UPDATE experimental_strategies SET {changes} WHERE strategy_id = ?", [*values.values(), strategy_id])


def write_setup(con: duckdb.DuckDBPyConnection, setup: dict[str, Any]) -> None:
    """One row of `validated_setups`, in place where it is there already (rules.md, section 6)."""
    present = names_of(con, "validated_setups")
    values = {name: value for name, value in setup.items() if name in present}
    there = con.execute("SELECT 1 FROM validated_setups WHERE strategy_id = ?", [values["strategy_id"]]).fetchone()
    if there is None:
        names, marks = ", ".join(values), ", ".join("?" for _ in values)
        con.execute(f"INSERT INTO validated_setups ({names}) VALUES ({marks})", list(values.values()))
        return
    strategy_id = values.pop("strategy_id")
    del values["promoted_from"]  # a key, which an update may not touch
    changes = ", ".join(f"{name} = ?" for name in values)
    con.execute(f"UPDATE validated_setups SET {changes} WHERE strategy_id = ?", [*values.values(), strategy_id])


def store(con: duckdb.DuckDBPyConnection, answers: dict[str, Any], by_rules: bool = False) -> None:
    """Write the answers the plainest way, so that the database can be compared."""
    con.execute("BEGIN")
    for strategy_id, answer in answers["strategies"].items():
        write_strategy(con, strategy_id, answer, by_rules)
    for setup in answers["setups"].values():
        write_setup(con, setup)
    for strategy_id in answers["retired"]:
        con.execute("UPDATE validated_setups SET status = 'retired' WHERE strategy_id = ?", [strategy_id])
    con.execute("COMMIT")
