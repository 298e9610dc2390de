"""The sessions that are known without looking at the data (rules.md, section 5)."""

FIXED_SESSIONS = {"0900", "1000", "1100", "1130", "1800", "2300", "0030"}
DYNAMIC_SESSIONS = {"CME_OPEN", "US_EQUITY_OPEN", "US_DATA_OPEN", "LONDON_OPEN", "US_POST_EQUITY", "CME_CLOSE"}
SESSIONS = frozenset(FIXED_SESSIONS | DYNAMIC_SESSIONS)
