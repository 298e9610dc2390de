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
    return wordings(done, total, seconds)[0]


def wordings(done: int, total: int, seconds: float) -> list[str]:
    """The same ever shorter, for a line that has little room."""
    counted, share = f"{done:,} of {total:,}", f"{done / max(total, 1):.0%}"
    if not done or seconds <= 0:
        return [f"{counted} strategies ({share})", f"{counted} ({share})", share]
    rate, left = f"{done / seconds:,.0f} a second", f"{duration(max(0, total - done) * seconds / done)} left"
    return [
        f"{counted} strategies ({share}), {rate}, {left}",
        f"{counted} ({share}), {rate}, {left}",
        f"{share}, {rate}, {left}",
        f"{share}, {left}",
        share,
    ]
