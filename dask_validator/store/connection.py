"""Opening the database, and every way in which that can go wrong, in one line each."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb

from dask_validator.errors import DatabaseHeld, InputError
from dask_validator.store.access import granted, settings, spare_memory
from dask_validator.system.files import check_name

T = TypeVar("T")
KEEP_S = 1.0
INTERRUPT_S = 0.05  # between two tries
ALLOW_EXTERNAL = "let it with --allow-external-views, if you trust whoever made the database"
ALLOW_MEMORY = "give it more with --memory-limit SIZE"
HEADERS = 3 * 4096  # bytes before the first block of a DuckDB file


@contextmanager
def reading(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection, closed at the end; several processes may hold one each.

    Raises
    ------
    InputError
        No such file, not a database, damaged, or held for writing by somebody.
    """
    connection = connect(path, read_only=True)
    try:
        with ctrl_c_stays_ctrl_c():
            yield connection
    except duckdb.PermissionException as error:
        raise InputError(f"{path} has a view that reads files: {first_line(error)}; {ALLOW_EXTERNAL}") from error
    except duckdb.OutOfMemoryException as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}; {ALLOW_MEMORY}") from error
    except duckdb.Error as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error
    finally:
        connection.close()


def read(path: str | Path, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """What the work returns, given a read-only connection; once more with more memory where that is too little."""
    with reading(path) as connection:
        return with_room(connection, path, lambda: work(connection))


class _Kept(NamedTuple):
    connection: duckdb.DuckDBPyConnection
    until: threading.Timer


_kept: dict[str, _Kept] = {}
_keeping = threading.Lock()


@contextmanager
def reading_again(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `reading`, by one task of many: the file stays open for the next, for at most `KEEP_S` or until `release`.

    Opening and closing a file of 20 GB takes as long as the work of a task.
    """
    with reading(path) as connection:
        _keep(str(path))
        yield connection


def _keep(path: str) -> None:
    with _keeping:
        known = _kept.pop(path, None)
        if known is not None:
            known.until.cancel()
        until = threading.Timer(KEEP_S, release)
        until.daemon = True
        _kept[path] = _Kept(known.connection if known else connect(path, read_only=True), until)
        until.start()


def release() -> None:
    """Close what this process keeps open for further tasks: a reader would lock the commit out."""
    with _keeping:
        while _kept:
            _, (connection, until) = _kept.popitem()
            until.cancel()
            connection.close()


# A child that is forked while a timer closes a connection would wait for that lock for ever.
os.register_at_fork(before=_keeping.acquire, after_in_parent=_keeping.release, after_in_child=_keeping.release)


@contextmanager
def ctrl_c_stays_ctrl_c() -> Iterator[None]:
    """DuckDB reports Ctrl-C in mid-query as a RuntimeError; here it is a KeyboardInterrupt again."""
    try:
        yield
    except RuntimeError as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def interrupt(connection: duckdb.DuckDBPyConnection, using: Future[Any]) -> None:
    """End what another thread does with the connection; between two queries it would hear nothing, hence again."""
    while not wait([using], INTERRUPT_S).done:
        connection.interrupt()


def connect(path: str | Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the file through DuckDB; errors as in `reading`."""
    check_is_file(path)
    try:
        # Absolute: `md:x`, `http:x` or `:memory:x` would be anything but files.
        place = str(Path(path).absolute())
        config = settings(granted(path), read_only=read_only)
        odd = "?" in place
        reached = {"enable_external_access": "true"} if odd else {}
        opened = duckdb.connect(place, read_only=read_only, config={**config, **reached})
        draw_no_progress(opened)
        return _shut(opened, place) if odd and not granted(path).external_views else opened
    except duckdb.Error as error:
        raise explained(path, error) from error


def _shut(connection: duckdb.DuckDBPyConnection, path: str) -> duckdb.DuckDBPyConnection:
    """Switch off access to other files; beside a name with `?` DuckDB does not know its own log again."""
    [(reaches_others,)] = connection.execute("SELECT system.main.current_setting('enable_external_access')").fetchall()
    if reaches_others:  # the first connection of this process to that file
        name, question_mark, rest = path.partition("?")
        logs = [f"{name}.wal{part}{question_mark}{rest}" for part in ("", ".checkpoint", ".recovery")]
        connection.execute("SET allowed_paths = $1", [logs])  # a list in SQL would be what a macro makes of it
        connection.execute("SET enable_external_access = false")
    return connection


def make_room(connection: duckdb.DuckDBPyConnection, path: str | Path) -> bool:
    """Let it take what this machine can spare, for rows that are too long; False when the user has set a limit.

    DuckDB works on 2,048 rows at a time: with a megabyte in each, that is gigabytes.
    """
    size = spare_memory(granted(path))
    if size is not None:
        connection.execute(f"SET memory_limit = '{size}'")
    return size is not None


def with_room(connection: duckdb.DuckDBPyConnection, path: str | Path, work: Callable[[], T]) -> T:
    """Do it, once more with more memory where that is too little."""
    try:
        return work()
    except duckdb.OutOfMemoryException:
        if not make_room(connection, path):
            raise
        return work()


def refuse_truncated(connection: duckdb.DuckDBPyConnection, path: str | Path) -> None:
    """Raise InputError for a copy that was cut short: DuckDB itself notices only when it reads what is missing."""
    if os.path.exists(log_of(path)):
        return  # then not all blocks that are in use are in the file yet
    query = "SELECT block_size, used_blocks FROM system.main.pragma_database_size()"
    [(block_size, blocks)] = connection.execute(query).fetchall()
    size, needed = os.stat(path).st_size, HEADERS + block_size * blocks
    if size < needed:
        raise InputError(f"{path} is cut short: {size:,} bytes, its header needs {needed:,}; copy it again")


def check_is_file(path: str | Path) -> None:
    """Raise InputError unless the path is a file; never opens it, which could drop a lock of ours."""
    check_place(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InputError(f"database {path}: {error.strerror}; give an existing DuckDB file with --db PATH") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"database {path} is not a file; give an existing DuckDB file with --db PATH")


def check_place(path: str | Path) -> None:
    """Raise InputError for a place where DuckDB cannot have a database."""
    check_name("--db", path)
    place = Path(path).absolute()
    check_name("--db", place)
    if "?" in str(place.parent):
        raise InputError(
            f"--db got {path}, and DuckDB looks elsewhere for the log of a database in a folder with `?` in its name; "
            "rename the folder, or move the file"
        )


def log_of(path: str | Path) -> str:
    """Where DuckDB keeps what is committed and not yet in the file: it takes `?` for the beginning of a query."""
    name, question_mark, rest = str(Path(path).absolute()).partition("?")
    return f"{name}.wal{question_mark}{rest}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text: DuckDB appends a stack trace to some."""
    return str(error).strip().split("\n", 1)[0][:300]


def explained(path: str | Path, error: duckdb.Error) -> InputError:
    """Why DuckDB could not open the file, in one line."""
    text = str(error)
    if holder := re.search(r"Conflicting lock is held in (.*?) ?\(PID (\d+)\)", text):
        return DatabaseHeld(
            f"{path} is held by PID {holder[2]} ({holder[1]}); close it there, then run again", int(holder[2])
        )
    if "different configuration" in text:
        return DatabaseHeld(
            f"{path} is held by another connection of this process (PID {os.getpid()}); "
            "close it (connection.close()), then run again",
            os.getpid(),
        )
    if "sqlite_scanner" in text:
        return InputError(f"{path} cannot be opened as a DuckDB database: it is a SQLite file")
    return InputError(f"{path} cannot be opened as a DuckDB database: {first_line(error)}")


def draw_no_progress(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB's own progress bar, which would stand among what a command prints."""
    with suppress(duckdb.InvalidInputException):  # in a notebook without widgets it has none, and none to switch off
        connection.execute("SET enable_progress_bar = false")
