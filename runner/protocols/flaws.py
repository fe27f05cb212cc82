"""Why a reply without a usable call is none: the ways to end are told apart, since each has its own answer (R19)."""

from runner.models import Reply
from runner.protocols.values import Flaw, Malformed

_MESSAGES: dict[Flaw, str] = {
    "length": "Your reply was cut off because it was too long; nothing was done. Reply again, much shorter.",
    "aborted": "Your reply ended in the middle; nothing was done. Reply again in another way.",
    "empty": "Your reply was empty.",
    "swallowed": "Your call could not be read; nothing was done.",
    "format": "There was no action in your reply; nothing was done.",
}


# Ollama itself ends a reply after thirty equal tokens, blank ones included (docs/models.md §2.1); other servers go on
# to the limit. It is the same, and to be asked for something shorter does not help.
RUN, LONGEST_PERIOD = 60, 20


def malformed(reply: Reply, rule: str) -> Malformed:
    """What to tell the model about a reply in which no call was found; `rule` says how a call looks."""
    flaw = _flaw(reply)
    return Malformed(f"{_MESSAGES[flaw]} {rule}", flaw)


def _flaw(reply: Reply) -> Flaw:
    if reply.finish != "stop":
        return "length" if reply.finish == "length" and not runs_on(reply.text) else "aborted"
    if reply.text.strip():
        return "format"
    # Ollama's template path drops a tool call that it cannot parse: no text, no call, yet tokens were generated.
    return "swallowed" if reply.completion_tokens > 1 else "empty"


def runs_on(text: str) -> bool:
    """Whether a text ends in blanks alone, or in the same few characters again and again."""
    end = text[-RUN:]
    if len(end) < RUN:
        return False
    return not end.strip() or any(end[period:] == end[:-period] for period in range(1, LONGEST_PERIOD + 1))
