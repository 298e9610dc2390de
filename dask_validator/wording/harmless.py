"""Text from a database, made harmless to look at: what nobody sees of it could forge lines, or drive the screen."""

from __future__ import annotations

import shlex
from html import escape

# Printable by their category, though nothing is seen of them: fillers, joiners, blanks, selectors of variants.
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)


def plain(text: str, keep: str = "") -> str:
    """Everything that is not seen spelled out as Python would, but for the characters to keep."""
    if text.isprintable() and UNSEEN.isdisjoint(text):
        return text
    return "".join(c if c in keep or (c.isprintable() and c not in UNSEEN) else ascii(c)[1:-1] for c in text)


def escaped(text: str) -> str:
    """The same for a page, where it is no markup either."""
    return escape(plain(text))


def breakable(text: str) -> str:
    """The same of a name, which a narrow column breaks between its parts."""
    return escaped(text).replace("_", "_<wbr>")


def shell_word(text: str) -> str:
    """One word of a command that can be copied; what is not seen is spelled out as bash, zsh and ksh read it."""
    if plain(text) == text:
        return shlex.quote(text)
    return "$'" + "".join(map(_in_quotes, text)) + "'"


def _in_quotes(c: str) -> str:
    if plain(c) == c:
        return f"\\{c}" if c in "\\'" else c
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
