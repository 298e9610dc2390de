"""A script that starts worker processes needs the `__main__` guard; say so in one line instead of 451."""

from __future__ import annotations

import ast
import gc
import sys
from pathlib import Path

from dask_validator.errors import MainGuardMissing


def require_main_guard() -> None:
    """Raise MainGuardMissing when worker processes would run the user's script again.

    Every worker process imports the main script; without the guard it would call us once more, and so on.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None or not path.endswith(".py"):
        return  # a notebook, a prompt, `python -m`, or a console command: nothing is imported again
    try:
        tree = _parsed(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    if not any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body):
        raise MainGuardMissing(
            f"{path} starts worker processes without a guard, and each would run it again; "
            'put the call under `if __name__ == "__main__":`, or use workers=1'
        )


def _parsed(source: str) -> ast.Module:
    """Without the garbage collector: what it ends may log a traceback, which parses too, and Python 3.11 breaks off."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collects:
            gc.enable()
