"""How a run is kept from loss: the flags that no verdict depends on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from dask_validator.config.kinds import check, flag
from dask_validator.errors import InputError

Size = str  # as DuckDB spells sizes


@dataclass(frozen=True, kw_only=True)
class Safeguards:
    """What protects a run and what it leaves behind.

    Raises
    ------
    InputError
        Seconds below zero, or no run to keep.
    """

    resume: bool = False
    discard: bool = False
    journal: str | Path | None = None
    task_timeout: float = 600.0  # seconds
    wait_for_lock: float = 0.0  # seconds
    memory_limit: Size | None = None  # of each process
    allow_external_views: bool = False
    keep_runs: int | None = None  # how many of the instrument stay on record; None: all

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            check(field.name, str(field.type), value)
            if field.type == "float" and value < 0:
                raise InputError(f"{flag(field.name)} got {value!r}; needed zero or more seconds")
        if self.keep_runs is not None and self.keep_runs < 1:
            raise InputError(f"--keep-runs got {self.keep_runs}; needed 1 or more: the run itself stays on record")
        if self.resume and self.discard:
            raise InputError("got --resume and --discard; needed one of them: go on, or start anew")
