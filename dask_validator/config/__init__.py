"""What the user may choose: flags, and files of rules."""

from dask_validator.config.kinds import BadValue, choices_of, flag
from dask_validator.config.promotion import GatesOnly, Modes, Promotion
from dask_validator.config.run_config import (
    ALPHA,
    DEFAULT_WF_OUTPUT,
    FDR_METHODS,
    FEW_WORLDS,
    GATES_OF_ALL,
    LAST_YEAR,
    LEAST_WORLDS,
    LONGEST_BLOCK,
    MAX_MONTHS,
    MOST_WORLDS,
    OF_SMALL_SAMPLES,
    SEASON_ZONES,
    FdrMethod,
    RunConfig,
    WindowRules,
    unusual,
)
from dask_validator.config.safeguards import Safeguards
from dask_validator.config.several import SWEPT, check_swept, combinations, one_at_a_time

__all__ = [
    "ALPHA",
    "DEFAULT_WF_OUTPUT",
    "FDR_METHODS",
    "FEW_WORLDS",
    "GATES_OF_ALL",
    "LAST_YEAR",
    "LEAST_WORLDS",
    "LONGEST_BLOCK",
    "MAX_MONTHS",
    "MOST_WORLDS",
    "OF_SMALL_SAMPLES",
    "SEASON_ZONES",
    "SWEPT",
    "BadValue",
    "FdrMethod",
    "GatesOnly",
    "Modes",
    "Promotion",
    "RunConfig",
    "Safeguards",
    "WindowRules",
    "check_swept",
    "choices_of",
    "combinations",
    "flag",
    "one_at_a_time",
    "unusual",
]
