"""`run` of several instruments: each as if it were alone, one table, one list, the worst exit code."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dask_validator import InputError, instruments, validate
from dask_validator.cli import validating
from dask_validator.errors import Incomplete
from dask_validator.store import writer
from tests.conftest import Command, everything_in
from tests.support.commits import Opener, commit_replaced
from tests.support.runs import answers
from tests.support.tiny import Row, change, rows_by_id, tiny_database

STRATEGIES: list[Row] = [
    {},
    {"strategy_id": "MGC_BAD", "sample_size": 3},
    {"strategy_id": "MES_GOOD", "instrument": "MES"},
    {"strategy_id": "MES_FAILED", "instrument": "MES", "filter_type": None},
    {"strategy_id": "MNQ_GOOD", "instrument": "MNQ"},
]
ODD: Row = {"strategy_id": "ODD", "instrument": "ODD"}  # whose costs nobody knows
ORDER = ["MES", "MGC", "MNQ"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three instruments and one that cannot be run; never written, only copied."""
    return tiny_database(tmp_path_factory.mktemp("source") / "source.duckdb", [*STRATEGIES, ODD])


@pytest.fixture
def several(source: Path, tmp_path: Path) -> Path:
    """A copy with the three, in a folder of its own."""
    (tmp_path / "several").mkdir()
    path = Path(shutil.copy(source, tmp_path / "several" / "gold.db"))
    change(path, "DELETE FROM experimental_strategies WHERE instrument = 'ODD'")
    return path


def flags(database: Path, *more: object) -> list[object]:
    """Of every run here."""
    return ["--db", database, "--workers", 1, "--wf-output", database.parent / "wf.jsonl", *more]


def listed(stdout: str) -> list[dict[str, Any]]:
    """The list that `--json` printed, alone."""
    found: list[dict[str, Any]] = json.loads(stdout)
    return found


def passed(database: Path) -> set[str]:
    """The strategies that are."""
    rows = rows_by_id(database, "experimental_strategies", "validation_status")
    return {name for name, row in rows.items() if row["validation_status"] == "PASSED"}


def test_each_is_as_if_it_were_alone(called: Command, several: Path, tmp_path: Path) -> None:
    """Tables and lines are those of a command for each instrument, in the order of their names."""
    apart = Path(shutil.copy(several, tmp_path / "gold.db"))
    together = called("run", *flags(several, "--all-instruments"))
    alone = [called("run", *flags(apart, "--instrument", name)) for name in ORDER]

    assert (together.code, [ran.code for ran in alone]) == (3, [3, 0, 0])
    assert answers(several) == answers(apart)
    with duckdb.connect(str(several), read_only=True) as connection:
        runs = connection.execute("SELECT instrument FROM dask_validator_runs ORDER BY finished_at").fetchall()
    assert [name for (name,) in runs] == ORDER
    assert everything_in(several.parent).keys() == {"gold.db", "wf.jsonl"}


def test_the_table_at_the_end(called: Command, several: Path) -> None:
    """A line for each run, its counts and its end, in 80 columns, also where the name is long."""
    change(several, "UPDATE experimental_strategies SET instrument = 'MICRO_NASDAQ_100' WHERE instrument = 'MNQ'")
    ran = called("run", *flags(several, "--all-instruments"))

    assert ran.stdout.splitlines()[-4:] == [
        "instrument       rows  passed  rejected  skipped  failed  retired",
        "MES                 2       1         0        0       1        0  committed",
        "MGC                 2       1         1        0       0        0  committed",
        "MICRO_NASDA~        -       -         -        -       -        -  bad input",
    ]
    assert all(len(line) <= 80 for line in ran.stdout.splitlines()[-4:])


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["--all-instruments"], ORDER),
        (["--instrument", "MNQ", "--instrument", "MGC"], ["MNQ", "MGC"]),
        (["--instrument", "MGC"], None),
        ([], None),
    ],
    ids=["all", "two", "one", "none"],
)
def test_a_list_exactly_when_several_were_asked_for(
    called: Command, several: Path, given: list[str], names: list[str] | None
) -> None:
    """`--json` is a list with `--all-instruments` or a second `--instrument`, in their order, else the object."""
    ran = called("run", *flags(several, *given, "--json", "--dry-run"))

    assert len(ran.stdout.splitlines()) == 1
    found = json.loads(ran.stdout)
    assert isinstance(found, list) is (names is not None)
    assert [each["instrument"] for each in (found if names else [found])] == (names or ["MGC"])


def test_a_list_of_one(called: Command, several: Path) -> None:
    """All instruments of a database that has one are a list, too."""
    change(several, "DELETE FROM experimental_strategies WHERE instrument <> 'MGC'")
    ran = called("run", *flags(several, "--all-instruments", "--json"))
    assert [each["instrument"] for each in listed(ran.stdout)] == ["MGC"]


def test_a_broken_instrument_does_not_stop_the_others(called: Command, source: Path, tmp_path: Path) -> None:
    """Nobody knows its costs: one line says so, the others are committed, the exit code tells."""
    database = Path(shutil.copy(source, tmp_path / "gold.db"))
    ran = called("run", *flags(database, "--instrument", "ODD", "--instrument", "MGC", "--json"))

    assert ran.code == 2
    assert "dask-validator: ODD: unknown instrument 'ODD'; known: " in ran.stderr
    broken, done = listed(ran.stdout)
    assert (broken["instrument"], broken["exit_code"], done["committed"]) == ("ODD", 2, True)
    assert broken["error"].startswith("unknown instrument 'ODD'")
    assert passed(database) == {"MGC_GOOD"}


def test_an_instrument_that_cannot_be_committed(called: Command, several: Path) -> None:
    """Its results are kept with the command for them alone; the others are committed; exit code 4 wins over 3."""
    commit, refusing = writer.commit, partial(writer.commit, connect=Opener(range(5, 6)))

    def full(path: Path, record: Any, *more: Any, **named: Any) -> datetime:
        return (refusing if record.instrument == "MGC" else commit)(path, record, *more, **named)

    with commit_replaced(full):
        ran = called("run", *flags(several, "--all-instruments", "--journal", "{db}.{instrument}.kept", "--json"))

    assert ran.code == 4
    assert [(each["committed"], each.get("exit_code")) for each in listed(ran.stdout)] == [
        (True, None),
        (False, 4),
        (True, None),
    ]
    assert passed(several) == {"MES_GOOD", "MNQ_GOOD"}
    line = next(line for line in ran.stderr.splitlines() if "dask-validator commit" in line)
    words = shlex.split(line)[1:]
    assert words[words.index("--instrument") + 1] == "MGC"
    assert words[words.index("--journal") + 1] == f"{several}.MGC.kept"
    assert called(*words).code == 0
    assert passed(several) == {"MES_GOOD", "MGC_GOOD", "MNQ_GOOD"}
    assert everything_in(several.parent).keys() == {"gold.db", "wf.jsonl"}


def test_ctrl_c_stops_all(called: Command, several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed before stays, the others are not begun, and the table says so."""
    validation = validating.run_validation

    def interrupted(order: Any, *more: Any) -> Any:
        if order.instrument == "MGC":
            raise KeyboardInterrupt
        return validation(order, *more)

    monkeypatch.setattr(validating, "run_validation", interrupted)
    ran = called("run", *flags(several, "--all-instruments"))

    assert ran.code == 130
    assert [line.split()[0] + " " + " ".join(line.split()[7:]) for line in ran.stdout.splitlines()[-3:]] == [
        "MES committed",
        "MGC interrupted",
        "MNQ not begun",
    ]
    assert passed(several) == {"MES_GOOD"}


def test_a_lost_cluster_is_replaced(called: Command, several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrument whose workers are lost is incomplete; the next one gets others, and 5 is worse than 3."""
    validation, places = validating.run_validation, list[object]()

    def lost(order: Any, executor: Any, *more: Any) -> Any:
        places.append(executor)
        if order.instrument == "MGC":
            raise Incomplete("the cluster was lost")
        return validation(order, executor, *more)

    monkeypatch.setattr(validating, "run_validation", lost)
    ran = called("run", *flags(several, "--all-instruments"))

    assert ran.code == 5
    assert places[0] is places[1]
    assert places[1] is not places[2]
    assert passed(several) == {"MES_GOOD", "MNQ_GOOD"}


def test_a_defect_of_ours_stops_nothing_either(called: Command, several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown in full, and is worse than all but an interruption."""
    validation = validating.run_validation

    def defect(order: Any, *more: Any) -> Any:
        if order.instrument == "MES":
            raise ZeroDivisionError("of ours")
        return validation(order, *more)

    monkeypatch.setattr(validating, "run_validation", defect)
    ran = called("run", *flags(several, "--all-instruments"))

    assert ran.code == 1
    assert "ZeroDivisionError: of ours" in ran.stderr
    assert passed(several) == {"MGC_GOOD", "MNQ_GOOD"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--instrument", "MES", "--instrument", "MES"], "--instrument got MES more than once; give each once"),
        (["--all-instruments", "--instrument", "MES"], "--instrument and --all-instruments exclude each other"),
        (["--all-instruments", "--journal", "j"], "--journal got j for several instruments; needed {instrument} in it"),
        (
            ["--all-instruments", "--report", "r.html"],
            "--report got r.html for several instruments; needed {instrument}",
        ),
        (["--all-instruments", "--report", "{instrument}{x}"], "--report got {instrument}{x}; {x} is none of {run}, "),
    ],
    ids=["twice", "both", "journal", "report", "unknown mark"],
)
def test_slips_of_the_whole_call(called: Command, several: Path, given: list[str], said: str) -> None:
    """What no run of them could use is one line, before anything is begun."""
    before = everything_in(several.parent)
    ran = called("run", *flags(several, *given))

    assert (ran.code, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert said in ran.stderr
    assert everything_in(several.parent) == before


def test_ids_of_several(called: Command, several: Path, tmp_path: Path) -> None:
    """One list for all: each run takes its own, one without any has nothing to do, a stranger is refused before."""
    ids = tmp_path / "ids.txt"
    ids.write_text("MGC_GOOD\nMNQ_GOOD\n")
    ran = called("run", *flags(several, "--all-instruments", "--ids", ids, "--json"))

    assert ran.code == 0
    assert [each["rows"] for each in listed(ran.stdout)] == [0, 1, 1]
    assert passed(several) == {"MGC_GOOD", "MNQ_GOOD"}
    ids.write_text("MGC_GOOD\nMNQ_GOOD\n")
    refused = called("run", *flags(several, "--instrument", "MES", "--instrument", "MGC", "--ids", ids))
    assert (refused.code, refused.stdout) == (2, "")
    assert "got 1 id that is no strategy of MES, MGC in" in refused.stderr
    assert "'MNQ_GOOD' (of MNQ)" in refused.stderr


def test_a_report_for_each(called: Command, several: Path) -> None:
    """`{instrument}` in the path makes it one for each."""
    report = several.parent / "{instrument}.html"
    assert called("run", *flags(several, "--all-instruments", "--report", report)).code == 3
    assert {path.name for path in several.parent.glob("*.html")} == {"MES.html", "MGC.html", "MNQ.html"}


def test_one_cluster_for_all(command: Callable[..., Any], several: Path) -> None:
    """Workers are started once, and what they compute is what one process computes."""
    change(several, "DELETE FROM experimental_strategies WHERE instrument = 'MES'")
    two = ["run", "--db", several, "--workers", 2, "--all-instruments", "--wf-output", several.parent / "wf.jsonl"]
    ran = command(*two, "--dashboard-address", "127.0.0.1:0")

    assert ran.code == 0, ran.stderr
    assert passed(several) == {"MGC_GOOD", "MNQ_GOOD"}
    links = [line for line in ran.stderr.splitlines() if line.startswith("Dask dashboard: ")]
    assert len(links) == 2  # the second run has a page, too
    assert links[0] == links[1]


def test_in_python(several: Path) -> None:
    """`validate` takes one instrument; those of a database are known."""
    assert instruments(several) == ORDER
    results = [validate(several, name, workers=1, progress=False, dry_run=True) for name in instruments(several)]
    assert [result.summary["passed"] for result in results] == [1, 1, 1]
    with pytest.raises(InputError, match=r"needed one; all of a database: \[validate\(db, name\) for name"):
        validate(several, ORDER)  # type: ignore[arg-type]
