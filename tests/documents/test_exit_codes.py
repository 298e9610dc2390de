"""README says what each exit code means, and no code that the program does not have."""

from __future__ import annotations

import re

from dask_validator import errors
from dask_validator.cli.given import SOME_FAILED
from dask_validator.system.interrupts import INTERRUPTED
from tests.documents.pages import page

DONE = 0


def test_exit_codes_are_those_of_the_readme() -> None:
    """Scripts that call a command can go by the paragraph."""
    [paragraph] = re.findall(r"^Exit codes: (.*?)\n\n", page("README.md"), re.MULTILINE | re.DOTALL)
    stated = {int(number) for number in re.findall(r"(?:^|; )\s*(\d+) ", paragraph.replace("\n", " "))}
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}

    assert stated == {DONE, SOME_FAILED, INTERRUPTED, *raised}
