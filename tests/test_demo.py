"""The demonstration: a database like the users', whose truth is known."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from dask_validator.events import Event, Progressed
from tests.conftest import Command, contents
from tests.reference.fdr import earning_and_losing

STRATEGIES = 1300


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demonstration database, made once."""
    from dask_validator.demo import build_demo

    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    build_demo(path, strategies=STRATEGIES, seed=1)
    return path


def test_demo_runs_on_dask_and_knows_the_truth(tmp_path: Path, command: Command) -> None:
    """The whole demonstration: it builds, validates with two workers, shows the funnel and what was planted."""
    ran = command("demo", "--strategies", STRATEGIES, "--json")

    assert ran.code == 0, ran.stderr
    assert ran.summary["rows"] == STRATEGIES
    assert ran.summary["walkforward"]["workers"] >= 2
    assert ran.summary["committed"]
    for text in (
        "Dask dashboard: http://127.0.0.1:",
        "ssh -L",
        "rejected in phase 6",
        "Planted edges found:",
        "not promoted, earns significantly",
        "If no strategy had an edge, a run with these flags on these days would promote",
        "Luck would promote about",
        "With --gate luck --gate-share 0.1, of the",
    ):
        assert text in ran.stderr
    explain, report = ran.stderr.split("Next:\n")[1].splitlines()
    for line in (explain, report):
        assert command(*shlex.split(line)[1:]).code == 0
    assert (tmp_path / "demo.html").exists()


def test_building_the_demonstration_tells_how_far_it_is(tmp_path: Path) -> None:
    """Ten seconds of silence would look like a command that hangs."""
    from dask_validator.demo import build_demo

    heard: list[Event] = []
    build_demo(tmp_path / "demo.duckdb", strategies=2_000, listener=heard.append)

    assert heard == [Progressed("Inventing", 1_344, 2_000), Progressed("Inventing", 2_000, 2_000)]


def test_a_second_demo_makes_the_file_anew(tmp_path: Path, made: Path, command: Command) -> None:
    """`make demo` twice works: a file that the command made itself is replaced."""
    path = Path(shutil.copy(made, tmp_path / "demo.duckdb"))
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE experimental_strategies SET validation_status = 'PASSED'")

    ran = command("demo", "--db", path, "--strategies", STRATEGIES, "--seed", 1, "--build-only")

    assert ran.code == 0, ran.stderr
    assert contents(path) == contents(made)


def test_demo_touches_no_other_file(small: Path, command: Command) -> None:
    """Somebody's database is refused, and stays as it was."""
    before = small.read_bytes()

    ran = command("demo", "--db", small)

    assert ran.code == 2
    assert "not made by this command" in ran.stderr
    assert small.read_bytes() == before


@pytest.mark.parametrize("flag", [["--wf-test-months", "0"], ["--instruments", "absent.toml"]], ids=" ".join)
def test_bad_flags_make_no_file(flag: list[str], tmp_path: Path, command: Command) -> None:
    """A flag that the run would refuse is refused before the database is made."""
    ran = command("demo", "--strategies", 50, *flag)

    assert ran.code == 2
    assert list(tmp_path.iterdir()) == []


def test_seed_and_number_decide_the_file(tmp_path: Path, made: Path) -> None:
    """The same seed makes the same strategies, another seed others."""
    from dask_validator.demo import build_demo

    same, other = tmp_path / "same.duckdb", tmp_path / "other.duckdb"
    build_demo(same, strategies=STRATEGIES, seed=1)
    build_demo(other, strategies=STRATEGIES, seed=2)

    assert contents(same) == contents(made)
    assert contents(other) != contents(made)


def test_demo_looks_like_the_users_databases(made: Path) -> None:
    """Wide features at three lengths, over a million outcomes' shape: ten years, keys, and nothing validated yet."""
    with duckdb.connect(str(made), read_only=True) as connection:
        [(columns,)] = connection.execute("SELECT count(*) FROM (DESCRIBE daily_features)").fetchall()
        [(years,)] = connection.execute("SELECT count(DISTINCT year(trading_day)) FROM orb_outcomes").fetchall()
        minutes = connection.execute("SELECT DISTINCT orb_minutes FROM daily_features ORDER BY 1").fetchall()
        [(keyed,)] = connection.execute(
            "SELECT count(*) FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
        [(waiting,)] = connection.execute(
            "SELECT count(*) FROM experimental_strategies WHERE validation_status IS NULL"
        ).fetchall()

    assert columns > 200
    assert years == 10
    assert minutes == [(5,), (15,), (30,)]
    assert keyed >= 6
    assert waiting == STRATEGIES


def test_found_and_noise_are_counted_against_the_truth(made: Path) -> None:
    """Promoting every planted edge and nothing else finds all of them, and no noise."""
    from dask_validator.demo import truth_report

    with duckdb.connect(str(made), read_only=True) as connection:
        edges = connection.execute(
            "SELECT strategy_id FROM dask_validator_demo_truth JOIN experimental_strategies USING (strategy_id) "
            "WHERE kind = 'edge' AND is_canonical"
        ).fetchall()
        [(noise,)] = connection.execute(
            "SELECT min(strategy_id) FROM dask_validator_demo_truth WHERE kind = 'noise'"
        ).fetchall()

    perfect = truth_report(made, {strategy_id: "PASSED" for (strategy_id,) in edges})
    worse = truth_report(made, {strategy_id: "PASSED" for (strategy_id,) in [*edges[1:], (noise,)]})

    assert perfect.found == perfect.promoted == len(edges) > 0
    assert perfect.noise == 0
    assert (worse.found, worse.noise) == (len(edges) - 1, 1)
    assert worse.planted == perfect.planted >= perfect.found


def test_the_truth_is_tabled_by_promotion_and_significance(made: Path) -> None:
    """Promoted or not, earning significantly or not, against edge, decayed and noise: as counted by hand."""
    from dask_validator.demo import truth_report

    with duckdb.connect(str(made), read_only=True) as connection:
        rows = connection.execute(
            "SELECT strategy_id, kind, p_value, expectancy_r FROM dask_validator_demo_truth "
            "JOIN experimental_strategies USING (strategy_id) WHERE is_canonical ORDER BY strategy_id"
        ).fetchall()
    promoted = {strategy_id for strategy_id, *_ in rows[::3]}
    earning, _ = earning_and_losing({strategy_id: (p, r) for strategy_id, _, p, r in rows})
    truths = {"edge": "edge", "seasonal": "edge", "decayed": "decayed", "noise": "noise"}
    counts = Counter((name in promoted, name in earning, truths[kind]) for name, kind, *_ in rows)

    table = truth_report(made, dict.fromkeys(promoted, "PASSED")).table

    assert len(table) == 4
    for row in table:
        assert row[2:] == tuple(counts[row.promoted, row.significant, name] for name in ("edge", "decayed", "noise"))
    assert sum(row.all for row in table) == len(rows)
    assert sum(row.all for row in table if row.significant) == len(earning) > 0
