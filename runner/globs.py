"""Patterns of paths as in `.gitignore`, without negation. Pure. Rules: https://git-scm.com/docs/gitignore

A pattern without a slash (or with one only at its end) matches at any depth, any other from the root; `*` and `?` stop
at slashes, `**` does not. What matches a folder matches all below it. In one point it is stricter than Git: `folder/`
and `folder/**` match a path `folder` too, since a link or a file may stand where a folder is meant.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise


def matching(paths: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` (relative, with `/`) that one of `patterns` matches, in their order."""
    compiled = [_compiled(pattern) for pattern in patterns]
    return tuple(path for path in paths if any(regex.fullmatch(path) for regex in compiled))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = ["**" if re.fullmatch(r"\*\*+", part) else part for part in pattern.rstrip("/").split("/")]
    if len(parts) == 1:
        parts = ["**", *parts]
    elif parts[0] == "":
        parts = parts[1:]
    while parts and parts[-1] == "**":
        parts.pop()
    if not parts:
        return re.compile(".*", re.DOTALL)
    folders = "".join(_folder(part, before) for before, part in pairwise(["", *parts[:-1]]))
    return re.compile(f"{folders}{_translated(parts[-1])}(?:/.*)?", re.DOTALL)


def _folder(part: str, before: str) -> str:
    if part != "**":
        return f"{_translated(part)}/"
    return "" if before == part else "(?:.*/)?"  # twice would be the same, and slow


_TOKEN = re.compile(r"\*+|\?|\\.|\[(?:[!^])?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


def _translated(part: str) -> str:
    return "".join(_piece(token) for token in _TOKEN.findall(part))


def _piece(token: str) -> str:
    if token[0] == "*":
        return "[^/]*"  # in company two stars are as one
    if token == "?":
        return "[^/]"
    if len(token) > 1 and token[0] == "[":
        return _class(token)
    return re.escape(token[-1])


def _class(token: str) -> str:
    """A set of characters; never a slash."""
    negated = token[1] in "!^"
    inside = token[1 + negated : -1].replace("[", "\\[")
    inside = "\\]" + inside[1:] if inside.startswith("]") else inside
    try:
        re.compile(f"[{inside}]")
    except re.error:
        return "(?!)"  # as a range from z to a: nothing is in it
    return f"(?!/)[{'^' if negated else ''}{inside.replace('^', chr(92) + '^')}]"
