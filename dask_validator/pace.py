"""How fast a run goes and how long it will take, in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """In the two largest units that matter."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def progress(done: int, total: int, seconds: float) -> str:
    """Strategies done of all, a second, and the time left at that rate; `seconds` since the first began."""
    text = f"{done:,} of {total:,} strategies ({done / max(total, 1):.0%})"
    if not done or seconds <= 0:
        return text
    left_s = max(0, total - done) * seconds / done
    return f"{text}, {done / seconds:,.0f} a second, {duration(left_s)} left"
