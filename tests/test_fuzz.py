"""Three hundred hostile databases, a dozen of them through the command; `make fuzz` makes ten thousand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import fuzz
from tests.fuzz import Fuzzer

CASES, CHUNK, SEED = 300, 25, 20_240_229
HARMS = {
    "a table dropped": "DROP TABLE canary",
    "a table changed": "UPDATE orb_outcomes SET mae_r = 0 WHERE rowid = 5",
    "a table added": "CREATE TABLE more (a INTEGER)",
    "a column added": "ALTER TABLE experimental_strategies ADD COLUMN more INTEGER",
    "another instrument": "UPDATE experimental_strategies SET validation_notes = '' WHERE strategy_id = 'MES_A'",
    "not waiting": "UPDATE experimental_strategies SET dst_winter_n = 1 WHERE strategy_id = 'MGC_L'",
    "no status": "UPDATE experimental_strategies SET validation_status = NULL WHERE strategy_id = 'MGC_A'",
    "another status": "UPDATE experimental_strategies SET validation_status = 'REJECTED' WHERE strategy_id = 'MGC_A'",
    "not a verdict": "UPDATE experimental_strategies SET p_value = 0 WHERE strategy_id = 'MGC_A'",
    "split of a failed one": "UPDATE experimental_strategies SET dst_winter_n = 1 WHERE strategy_id = 'MGC_K'",
    "a traceback": "UPDATE experimental_strategies SET validation_notes = 'Traceback' WHERE strategy_id = 'MGC_K'",
    "setup of another": "UPDATE validated_setups SET status = 'retired' WHERE strategy_id = 'MES_A'",
    "setup still active": "UPDATE validated_setups SET status = 'active' WHERE strategy_id = 'MGC_H'",
    "setup gone": "DELETE FROM validated_setups WHERE strategy_id = 'MGC_D'",
    "setup of a rejected one": "UPDATE validated_setups SET strategy_id = 'MGC_I' WHERE strategy_id = 'MGC_D'",
    "other lines": "UPDATE dask_validator_runs SET results = ''::BLOB",
}


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """Makes the same cases every time."""
    return Fuzzer(tmp_path_factory.mktemp("fuzz"), SEED)


@pytest.mark.parametrize("first", range(0, CASES, CHUNK))
def test_hostile_databases(fuzzer: Fuzzer, first: int) -> None:
    """Results, FAILED or one clear line, and not a byte of anything else; the last of every chunk is a command."""
    cases = [fuzzer.case(number, by_command=number % CHUNK == CHUNK - 1) for number in range(first, first + CHUNK)]
    broken = [f"python -m tests.fuzz --seed {SEED} --only {case}" for case in cases if case.problems]
    assert not broken, "\n\n".join(broken)


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_the_fuzzer_notices(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """A run that did harm would not go unnoticed."""
    monkeypatch.setattr(fuzz, "TEMPLATES", {"loose": 1})
    monkeypatch.setattr(fuzz, "mutate", lambda *_, **__: [])
    assert fuzzer.case(0).problems == []
    validate = fuzz.validate

    def harmful(path: Path, *args: Any, **flags: Any) -> Any:
        result = validate(path, *args, **flags)
        with duckdb.connect(str(path)) as connection:
            connection.execute(harm)
        return result

    monkeypatch.setattr(fuzz, "validate", harmful)
    assert fuzzer.case(0).problems != []
