"""A comparison as CSV: a row for each strategy with another verdict, and for each that one run alone has judged."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dask_validator.errors import InputError
from dask_validator.explanation.comparison import COLUMNS, Comparison, as_row, verdicts_of
from dask_validator.run.report_file import write_whole


def write_csv(found: Comparison, path: Path) -> None:
    """Write the file; what is unknown or off is empty. Raises InputError where it cannot be written."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(map(as_row, found.changed))
    table.writerows(_alone(found))
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise InputError(f"the table {path} could not be written ({error.strerror})") from None


def _alone(found: Comparison) -> Iterator[list[Any]]:
    for when, side in (("before", found.only_before), ("after", found.only_after)):
        for strategy_id, verdict, phase, gate in verdicts_of(side):
            known: dict[str, Any] = {"strategy_id": strategy_id, "kind": f"only_{when}", when: verdict}
            known |= {f"{when}_phase": phase, f"{when}_gate": gate}
            yield [known.get(name) for name in COLUMNS]
