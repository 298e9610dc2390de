"""What is sent to a worker: a call as plain bytes.

Only the worker opens them, so that the scheduler needs nothing of ours, and the worker first compares its versions with
ours, so that one that joined in mid-run is checked before it computes.
"""

from __future__ import annotations

import pickle
import platform
import traceback
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from dask_validator.errors import ValidatorError

Versions = dict[str, str]
PACKAGES = ("dask_validator", "dask", "distributed", "numpy", "scipy", "duckdb")


class Unfit(NamedTuple):
    """The answer of a worker whose versions are not ours."""

    worker: str
    versions: Versions


@lru_cache(maxsize=1)
def versions() -> Versions:
    """What this process runs, `missing` for what it does not have."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def differences(ours: Versions, theirs: Versions) -> tuple[list[str], list[str]]:
    """Names whose versions differ too much to compute together, and names that differ harmlessly.

    Python and dask must agree but for the patch level, the package wholly; other differences are worth a warning.
    """
    different = {name: theirs.get(name, "missing") for name in ours if ours[name] != theirs.get(name)}
    fatal = {name for name, version in different.items() if _too_far_apart(name, ours[name], version)}
    return sorted(fatal), sorted(set(different) - fatal)


def _too_far_apart(name: str, ours: str, theirs: str) -> bool:
    if theirs == "missing" or name == "dask_validator":
        return True
    return name in ("python", "dask", "distributed") and ours.split(".")[:2] != theirs.split(".")[:2]


class Named:
    """A function of ours as it is mapped over envelopes: under its own name here, and opening them there.

    A scheduler reads what is mapped, so that what travels is of the standard library.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.__name__ = function.__name__

    def __call__(self, envelope: bytes) -> bytes:
        """The outcome of the call inside, for `outcome`."""
        answer: bytes = pickle.loads(envelope)
        return answer

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return partial, (pickle.loads,)


def sealed(function: Callable[[Any], Any], argument: Any, *, timeout_s: float) -> bytes:
    """Bytes that `pickle.loads` turns into the packed outcome of `function(argument)`, wherever it is called.

    A worker process that needs longer than `timeout_s` for it ends.
    """
    return pickle.dumps(_Call(versions(), timeout_s, pickle.dumps((function, argument))))


def outcome(answer: bytes) -> Any:
    """What the call returned: the function's result, an `Unfit`, or one of our errors, which is raised.

    Raises
    ------
    ValidatorError
        As the function raised it.
    """
    result = pickle.loads(answer)
    if isinstance(result, ValidatorError):
        raise result
    return result


class _Call:
    """Pickles as a call of `_call`; a plain function reference would have to be imported by the scheduler."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., bytes], tuple[Any, ...]]:
        return _call, self._arguments


def _call(ours: Versions, timeout_s: float, call: bytes) -> bytes:
    if differences(ours, versions())[0]:
        from distributed import get_worker

        return pickle.dumps(Unfit(get_worker().address, versions()))
    try:
        from dask_validator.execution.dask.deadline import deadline

        function, argument = pickle.loads(call)
        with deadline(timeout_s):
            return pickle.dumps(function(argument))
    except ValidatorError as error:
        return pickle.dumps(error)
    except Exception as error:  # as a value: a client that cannot read the traceback of one would wait for ever
        what = f"a task failed, which is a defect of dask_validator ({type(error).__name__}: {error})"
        return pickle.dumps(ValidatorError(what, details=traceback.format_exc(limit=-3)))
