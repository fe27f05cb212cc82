"""A comment → a command: `/pullwright retry`, or plain words for the agent. Pure."""

import re
from typing import Any, NamedTuple

from runner.commands import Verb

WORDS = ("pause", "resume", "cancel", "retry", "assign", "answer", "comment", "budget")
BOUNDS = ("steps", "tokens", "cost", "minutes")
"""What people can say after `/pullwright`. Approving is not among it: that is the forge's own review and merge."""


class Said(NamedTuple):
    """A command with its arguments."""

    verb: Verb
    args: dict[str, Any]


class Unknown(NamedTuple):
    """A line that begins with our word and is no command."""

    why: str


_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_QUOTE = re.compile(r"^ {0,3}>.*$", re.MULTILINE)
_FOLDED = re.compile(r"<details>.*?(?:</details>|\Z)", re.DOTALL | re.IGNORECASE)
_COMMAND = re.compile(r"^/pullwright\b[ \t]*([^\s]*)[ \t]*(.*)$", re.MULTILINE)


def parse(text: str) -> Said | Unknown | None:
    """The command in a comment; None for a comment that is none.

    Only a line of its own counts, outside of code, quotations and what is folded away: those are other people's words.
    """
    text = text.replace("\r\n", "\n")
    plain = _QUOTE.sub("", _FOLDED.sub("", _FENCE.sub("", text)))
    match = _COMMAND.search(plain)
    if match is None:
        return None
    verb, rest = match[1], match[2].strip()
    after = plain[match.end() :].strip()
    match verb:
        case "pause" | "resume" | "cancel" | "retry":
            return Said(
                verb, {"text": "\n".join(filter(None, [rest, after]))} if verb == "retry" and rest + after else {}
            )
        case "assign" if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", rest):
            return Said("assign", {"agent": rest})
        case "assign":
            return Unknown("assign needs the name of an agent: /pullwright assign NAME")
        case "answer" | "comment" if rest or after:
            return Said(verb, {"text": "\n".join(filter(None, [rest, after]))})
        case "answer" | "comment":
            return Unknown(f"{verb} needs words: /pullwright {verb} …")
        case "budget":
            return _budget(rest)
        case _:
            return Unknown(f"there is no command {verb[:40]!r}; there are {', '.join(WORDS)}")


def _budget(words: str) -> Said | Unknown:
    """Bounds as `steps=300 cost=2.50`; those that are not named stay as they are."""
    found = {name: number for name, _, number in (word.partition("=") for word in words.split())}
    try:
        bounds = {name: float(number) if name in ("cost", "minutes") else int(number) for name, number in found.items()}
    except ValueError:
        bounds = {}
    if not bounds or not bounds.keys() <= set(BOUNDS) or not all(0 < bound < 1e12 for bound in bounds.values()):
        return Unknown(
            "budget needs bounds, of steps, tokens, cost and minutes: /pullwright budget steps=300 cost=2.50"
        )
    return Said("set-budget", {"budget": bounds})
