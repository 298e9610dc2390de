"""Python's source as a tree."""

from __future__ import annotations

import ast
import gc


def parsed(source: str) -> ast.Module:
    """The tree, made without the garbage collector.

    What it collects may log a traceback, which parses too: Python 3.11 takes that for its own defect (SystemError).
    """
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
