"""What makes one strategy FAILED."""


class Unusable(Exception):
    """This strategy cannot be validated; the message says why (rules.md, section 1)."""
