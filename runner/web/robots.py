"""What a site asks of robots: RFC 9309, without crawl delays, which belong to none of it. Pure."""

from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

NAME = "pullwright"
MOST = 500 << 10
"""Bytes of a robots.txt that must be read at least (RFC 9309, 2.5); we read no more."""


def permitted(robots: str, url: str) -> bool:
    """Whether `robots` (a robots.txt) lets us fetch `url`: the longest rule that fits counts, allow among equals."""
    parts = urlsplit(url)
    path = _plain((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    best = (-1, True)
    for allow, rule in _rules(robots):
        if rule and _fits(rule, path):
            best = max(best, (len(rule), allow))
    return best[1]


def _rules(robots: str) -> list[tuple[bool, str]]:
    """The rules of the groups for us, else of those for everybody."""
    own: list[tuple[bool, str]] = []
    others: list[tuple[bool, str]] = []
    ours = False
    for names, rules in _groups(robots):
        if NAME in names:
            ours = True
            own += rules
        elif "*" in names:
            others += rules
    return own if ours else others


def _groups(robots: str) -> Iterator[tuple[set[str], list[tuple[bool, str]]]]:
    names: set[str] = set()
    rules: list[tuple[bool, str]] = []
    ruled = False
    for line in robots.splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent" and colon:
            if ruled:
                yield names, rules
                names, rules, ruled = set(), [], False
            names.add(value.lower().partition("/")[0])
        elif key in ("allow", "disallow") and colon and names:
            ruled = True
            rules.append((key == "allow", _plain(value)))
    yield names, rules


def _plain(path: str) -> str:
    """A path in one spelling, whichever of its characters were percent-encoded."""
    return quote(unquote(path), safe="/?*$=&;:@!+,~()'")


def _fits(rule: str, path: str) -> bool:
    """Whether a rule fits the beginning of a path: `*` stands for anything, `$` at its end for the path's.

    Piece by piece and never back: an expression with many stars would take a stranger's path for ever.
    """
    first, *rest = rule.removesuffix("$").split("*")
    at = len(first) if path.startswith(first) else -1
    last = rest.pop() if rest and rule.endswith("$") else None
    for piece in rest:
        found = path.find(piece, at) if at >= 0 else -1
        at = found + len(piece) if found >= 0 else -1
    if at < 0 or not rule.endswith("$"):
        return at >= 0
    return at == len(path) if last is None else path.endswith(last) and at + len(last) <= len(path)
