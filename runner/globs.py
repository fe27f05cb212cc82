"""Patterns of paths as in `.gitignore`, without negation. Pure. Rules: https://git-scm.com/docs/gitignore

A pattern without a slash (or with one only at its end) matches at any depth, any other from the root; `*` and `?` stop
at slashes, `**` does not. What matches a folder matches all below it. In one point it is stricter than Git: `folder/`
and `folder/**` match a path `folder` too, since a link or a file may stand where a folder is meant.
"""

import re
from collections.abc import Iterable
from functools import lru_cache


def matching(paths: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` (relative, with `/`) that one of `patterns` matches, in their order."""
    compiled = [_compiled(pattern) for pattern in patterns]
    return tuple(path for path in paths if any(regex.fullmatch(path) for regex in compiled))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    core = pattern.removesuffix("/").removesuffix("/**") or "**"
    anchor = "" if "/" in core or core != pattern.removesuffix("/") else "(?:.*/)?"
    core = core.removeprefix("/")
    if core.startswith("**/"):
        anchor, core = "(?:.*/)?", core[3:]
    return re.compile(anchor + _translated(core) + "(?:/.*)?", re.DOTALL)


_TOKEN = re.compile(r"/\*\*(?=/)|\*\*+|\*|\?|\\.|\[(?:[!^])?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


def _translated(glob: str) -> str:
    return "".join(_piece(token, whole=token == glob) for token in _TOKEN.findall(glob))


def _piece(token: str, whole: bool) -> str:
    if token == "/**":
        return "(?:/.*)?"
    if token.startswith("**"):
        return ".*" if whole else "[^/]*"  # in company two stars are as one
    if token == "*":
        return "[^/]*"
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
