"""What libraries take for granted of the process they run in."""

from __future__ import annotations

import os
from pathlib import Path

from dask_validator.errors import InputError

NO_HOME = "/nonexistent"  # as Debian calls it: nobody else can have put settings there


def settle() -> None:
    """Make do without a home folder, which Bokeh asks for when it is imported.

    Raises
    ------
    InputError
        The working directory has been deleted: no path and no process can start from there.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise InputError("the working directory has been deleted; change to one that is there, and run again") from None
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry in the list of users
        os.environ["HOME"] = NO_HOME
