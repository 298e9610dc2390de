"""Validate thousands of backtested strategies, exactly as the serial validator, on Dask.

from dask_validator import RunConfig, validate
result = validate("gold.db", "MGC", RunConfig(min_sample=50), workers=8)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dask_validator.config import RunConfig
from dask_validator.errors import (
    DatabaseHeld,
    Incomplete,
    InputError,
    NotCommitted,
    ValidatorError,
)

if TYPE_CHECKING:
    from dask_validator.api.comparing import audit, compare
    from dask_validator.api.export import export
    from dask_validator.api.load_run import load_run
    from dask_validator.api.luck import calibrate
    from dask_validator.api.runs import runs
    from dask_validator.api.sweeping import sweep
    from dask_validator.api.trades import import_trades, validate_trades
    from dask_validator.api.undo import undo
    from dask_validator.api.validation import instruments, validate
    from dask_validator.explanation.audit import Audit
    from dask_validator.explanation.comparison import Comparison
    from dask_validator.explanation.find import explain
    from dask_validator.explanation.words import Explanation
    from dask_validator.views.calibration_result import CalibrationResult
    from dask_validator.views.result import RunResult

__version__ = "0.1.0"
__all__ = [
    "Audit",
    "CalibrationResult",
    "Comparison",
    "DatabaseHeld",
    "Explanation",
    "Incomplete",
    "InputError",
    "NotCommitted",
    "RunConfig",
    "RunResult",
    "ValidatorError",
    "audit",
    "calibrate",
    "compare",
    "explain",
    "export",
    "import_trades",
    "instruments",
    "load_run",
    "runs",
    "sweep",
    "undo",
    "validate",
    "validate_trades",
]

_LATER = {
    "audit": "dask_validator.api.comparing",
    "calibrate": "dask_validator.api.luck",
    "compare": "dask_validator.api.comparing",
    "import_trades": "dask_validator.api.trades",
    "export": "dask_validator.api.export",
    "load_run": "dask_validator.api.load_run",
    "runs": "dask_validator.api.runs",
    "sweep": "dask_validator.api.sweeping",
    "instruments": "dask_validator.api.validation",
    "undo": "dask_validator.api.undo",
    "validate": "dask_validator.api.validation",
    "validate_trades": "dask_validator.api.trades",
    "explain": "dask_validator.explanation.find",
    "Audit": "dask_validator.explanation.audit",
    "CalibrationResult": "dask_validator.views.calibration_result",
    "Comparison": "dask_validator.explanation.comparison",
    "Explanation": "dask_validator.explanation.words",
    "RunResult": "dask_validator.views.result",
}


def __getattr__(name: str) -> Any:
    """Load the rest on first use: workers import this package and need none of it."""
    if name not in _LATER:
        raise AttributeError(f"module 'dask_validator' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
