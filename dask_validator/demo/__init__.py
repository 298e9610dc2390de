"""A demonstration database whose edges are known: planted, decayed, seasonal, and mostly none.

`market` invents days, `outcomes` what each trading plan earned on them, `backtest` what a researcher would have
made of it, `database` the file, `truth` compares a run's verdicts with what was planted.
"""

from dask_validator.demo.database import build_demo, is_demo
from dask_validator.demo.truth import DemoTruth, TruthRow, truth_report

__all__ = ["DemoTruth", "TruthRow", "build_demo", "is_demo", "truth_report"]
