"""What of a reply that is still coming can be shown to people: words, and no half-written call of a tool. Pure."""

import re

from runner.protocols.lift import without_thinking

# An object or a list of some, a tag such as <tool_call>, a fence whose first line is not whole yet.
_CALL = re.compile(r"\s*(?:\{|\[\s*(?:\{|$)|<(?:$|[tf|])|```(?:json|tool_\w*)?\s*[{\[]|```(?:\w*\s*)?$|`{1,2}$)")
_PARTLY = re.compile(r"(?<=\n)`{1,3}\w*\Z")
ANSWER = "answer"
"""The tool by which models without tool calls say something."""
_OPENING = re.compile(r"\s*(?:`{3,}|~{3,})[^\n`]*\n")
_CLOSING = re.compile(r"\n[ \t]*(?:`{3,}|~{3,})[ \t]*$")
_HALF = re.compile(r"\n?[`~]*$")


def words(text: str, tools: tuple[str, ...], *, whole: bool = False) -> str:
    """The words of a reply so far, or of a `whole` one; nothing while it looks like a call, in whatever form.

    What stands before a block that names one of `tools` is shown, what stands in a block that is the answer is too.
    What was shown stays, to the last blank: who reads along would see all of it begin anew.
    """
    said = without_thinking(text).lstrip()
    if _CALL.match(said):
        return ""
    block = re.search(rf"^```({'|'.join(tools)})\b", said, re.MULTILINE)
    if block is not None:
        before = said[: block.start()]
        return body(said[block.start() :]) if block[1] == ANSWER else before.rstrip() if whole else before
    return said if whole else _PARTLY.sub("", said)


def body(text: str) -> str:
    """What stands in the fence of a reply so far; all of it where there is none."""
    said = without_thinking(text)
    opening = _OPENING.match(said)
    if opening is None:
        return "" if said.lstrip().startswith(("`", "~")) else said.lstrip()
    inside = said[opening.end() :]
    return _HALF.sub("", _CLOSING.sub("", inside))


def answered(text: str) -> str:
    """An answer that came in a fence of its own, or without one: the text that is meant."""
    said = without_thinking(text).strip()
    opening = _OPENING.match(said)
    if opening is None or not _CLOSING.search(said):
        return said[opening.end() :].strip() if opening else said
    return _CLOSING.sub("", said[opening.end() :]).strip()


_WORD_END = re.compile(r"[^!-~]")
LONGEST_WORD = 2000
"""Characters of a word that are waited for: longer than any secret that stands on one line."""


def settled(text: str) -> str:
    """`text` without the word at its end that is still coming: half a secret is not known for one."""
    end = text[-LONGEST_WORD:]
    word = _WORD_END.search(end[::-1])  # from the end: each piece of a text without spaces costs the same
    return text[: len(text) - (word.start() if word else len(end))]


def is_action(text: str) -> bool:
    """Whether a text begins as the protocols' JSON does, whole or cut off: no words for a person."""
    return re.match(r'\s*\{\s*"(?:thought|tool)"\s*:', text) is not None
