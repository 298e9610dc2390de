"""The lines of the JSONL, one per strategy that reached walk-forward, and back."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np

from dask_validator.config import RunConfig
from dask_validator.model import EPOCH, UNKNOWN, WINDOW_TABLE, Walked, WindowResult, window_results
from dask_validator.rules.gates import GATES, OF_WINDOWS, POSITION, Gate, Terms
from dask_validator.rules.verdicts import Verdicts
from dask_validator.rules.window_gates import window_columns

CHUNK = 1 << 20  # bytes
_NAMES = [{"start": "window_start", "end": "window_end"}.get(name, name) for name in WINDOW_TABLE.names or ()]
MOST, RATIO = 1 << 30, 200  # bytes of a stream, or so many times what it takes: lines as they are take a tenth or more


def compressed(verdicts: Verdicts, run_id: str, instrument: str, now: datetime) -> bytes:
    """The lines in the order of the verdicts, as one zlib stream: a million strategies have 200 MB of them."""
    compressor = zlib.compressobj(level=1)
    chunks = [
        compressor.compress(json.dumps(record).encode() + b"\n")
        for record in records(verdicts, run_id, instrument, now)
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


def records(verdicts: Verdicts, run_id: str, instrument: str, now: datetime) -> Iterator[dict[str, object]]:
    """One object per strategy that reached walk-forward."""
    timestamp, windowed = now.isoformat(), verdicts.windowed()
    rows = [i for i, _ in windowed]
    min_trades = verdicts.window_trades[rows]
    columns = window_columns([facts for _, facts in windowed], min_trades)._asdict()
    asked = {gate.name: (position, gate) for position, gate in enumerate(GATES) if _is_asked(gate, verdicts.terms)}
    falls = np.isin(verdicts.gate, OF_WINDOWS).tolist()
    last = {name: columns.pop(name) for name in ("window_imbalance_ratio", "window_imbalanced")}
    if verdicts.terms.config.wf_in_sample:
        last["wfe"] = [
            GATES[POSITION["wfe"]].number(value) for value in verdicts.observed[rows, POSITION["wfe"]].tolist()
        ]
    for row, (i, facts) in enumerate(windowed):
        windows = window_results(facts.windows, int(min_trades[row]))
        config = verdicts.config_of(i)
        yield {
            "strategy_id": verdicts.ids[i],
            "instrument": instrument,
            **{name: column[row] for name, column in columns.items()},
            "passed": not falls[i],
            "rejection_reason": verdicts.reasons[i] if falls[i] else None,
            "windows": [_of_window(window, in_sample=config.wf_in_sample) for window in windows],
            "params": _params(config, by_trades=bool(config.wf_window_trades and facts.outcomes)),
            **{name: column[row] for name, column in last.items()},
            "timestamp": timestamp,
            "run_id": run_id,
            **{name: gate.number(float(verdicts.observed[i, position])) for name, (position, gate) in asked.items()},
        }


def _of_window(window: WindowResult, *, in_sample: bool) -> dict[str, object]:
    fields = window._asdict()
    if not in_sample:
        del fields["is_exp_r"]
    return fields


def _params(config: RunConfig, *, by_trades: bool) -> dict[str, object]:
    params: dict[str, object] = {
        "test_window_months": config.wf_test_months,
        "min_train_months": config.wf_min_train_months,
        "min_trades_per_window": config.wf_min_trades,
        "min_valid_windows": config.wf_min_windows,
        "min_pct_positive": config.wf_min_pct_positive,
    }
    if by_trades:
        rules = config.window_rules
        params |= {"mode": "trade_count", "test_window_trades": rules.window_trades}
        params |= {"min_train_trades": rules.train_trades}
    return params


def _is_asked(gate: Gate, terms: Terms) -> bool:
    return gate.of_others and gate.threshold(terms) is not None


def walked_of(record: Mapping[str, Any]) -> Walked:
    """The windows of a line of the JSONL, which does not say how many outcomes there were."""
    rows = [tuple(_number(window.get(name)) for name in _NAMES) for window in record["windows"]]
    table = np.array(rows, dtype=WINDOW_TABLE)
    return Walked(UNKNOWN, table)


def _number(value: Any) -> float:
    """A day, a number, or NaN."""
    if isinstance(value, str):
        return (date.fromisoformat(value) - EPOCH).days
    return math.nan if value is None else value
