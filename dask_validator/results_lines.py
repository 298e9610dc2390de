"""The lines of the JSONL: one per strategy that reached walk-forward."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from dask_validator.config import WalkforwardRules
from dask_validator.model import Verdict, WalkforwardResult, WindowResult
from dask_validator.rules import notes

CHUNK = 1 << 20  # bytes
MOST, RATIO = 1 << 30, 200  # bytes of a stream, or so many times what it takes: lines as they are take a tenth or more


def compressed(verdicts: Iterable[Verdict], instrument: str, rules: WalkforwardRules, now: datetime) -> bytes:
    """The lines in the order of the verdicts, as one zlib stream: a million strategies have 200 MB of them."""
    compressor = zlib.compressobj(level=1)
    chunks = [
        compressor.compress(
            json.dumps(_record(v.strategy_id, v.walkforward, instrument, rules, now.isoformat())).encode() + b"\n"
        )
        for v in verdicts
        if v.walkforward is not None
    ]
    return b"".join(chunks) + compressor.flush()


def decompressed(lines: bytes) -> Iterator[bytes]:
    """The stream in chunks. Raises zlib.error, and ValueError where it is cut short or swells like no lines do."""
    decompressor, left, most = zlib.decompressobj(), lines, max(MOST, RATIO * len(lines))
    while left and not decompressor.eof:
        chunk = decompressor.decompress(left, CHUNK)
        left, most = decompressor.unconsumed_tail, most - len(chunk)
        if most < 0:
            raise ValueError("they are too many for what they take")
        yield chunk
    yield decompressor.flush()
    if not decompressor.eof:
        raise ValueError("they are cut short")


def _record(
    strategy_id: str, result: WalkforwardResult, instrument: str, rules: WalkforwardRules, timestamp: str
) -> dict[str, object]:
    return {
        "strategy_id": strategy_id,
        "instrument": instrument,
        "n_total_windows": result.n_total_windows,
        "n_valid_windows": result.n_valid_windows,
        "n_positive_windows": result.n_positive_windows,
        "pct_positive": result.pct_positive,
        "agg_oos_exp_r": result.agg_oos_exp_r,
        "total_oos_trades": result.total_oos_trades,
        "passed": result.passed,
        "rejection_reason": None if result.failed is None else notes.reason(result.failed),
        "windows": [dict(zip(WindowResult._fields, window, strict=True)) for window in result.windows],
        "params": {
            "test_window_months": rules.test_months,
            "min_train_months": rules.min_train_months,
            "min_trades_per_window": rules.min_trades,
            "min_valid_windows": rules.min_windows,
            "min_pct_positive": rules.min_pct_positive,
        },
        "window_imbalance_ratio": result.window_imbalance_ratio,
        "window_imbalanced": result.window_imbalanced,
        "timestamp": timestamp,
    }
