"""What people read on a forge about a task: the text of its proposals, and the one note on its issue. Pure.

Words of agents stand in fences, where they can neither mention, close nor command; the request stands there exactly as
the agents got it.
"""

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from runner.forge import Remark
from runner.lifecycle import Stage, StageRef
from runner.prompting import fenced
from runner.record import Entry, Request
from runner.state import TaskState
from runner.wording import gate_line, one_line, trailers

LIMIT = 60000
"""Characters of a text; GitHub takes 65,536 (references: comment body)."""
GLYPHS = {"done": "✔", "ready": "◐", "working": "▸", "held": "‖", "open": "·"}


def plain(text: str) -> str:
    """Somebody's words in the middle of ours: one line, without any mark-up, mention, link or image."""
    return re.sub(r"([\\`*_\[\]<>!|~&])", r"\\\1", one_line(text, 500))  # &commat; is an @ to GitHub


def body(state: TaskState, ref: StageRef, entry: Entry, summary: str, number: int | None) -> str:
    """The text of a proposal: what, why, evidence, cost, the request as it was frozen, and what closes with it."""
    request = state.frozen
    assert request is not None  # a stage that is ready has a record
    last = ref.stage == state.stages[-1]
    parts = [
        f"**{ref.stage}** of `{ref.task}`, by {plain(entry.agent)} ({plain(entry.model)}).",
        _tie(number, last),
        f"What was done, in the agent's words:\n\n{fenced(summary or 'nothing was said')}",
        _evidence(entry),
        f"{entry.steps} steps, {entry.tokens} tokens, {entry.cost:.4f} US dollars, attempt {entry.attempt}.",
        "**Merge it** to approve. Ask for changes or comment, and the agent goes on; close it to reject it.",
        _request(request),
        "\n".join(trailers(ref, entry)),
    ]
    return _bounded("\n\n".join(part for part in parts if part))


def _tie(number: int | None, last: bool) -> str:
    """Only the last proposal closes the issue: the first merge would do it, whichever stage it is."""
    if number is None:
        return ""
    return f"Fixes #{number}" if last else f"Refs #{number}"


def _evidence(entry: Entry) -> str:
    rows = "\n".join(gate_line(gate) for gate in entry.gates)
    walls = f"\n\nCommands ran in: {plain(entry.sandbox)}." if entry.sandbox else ""
    return f"What the runner itself saw, on a fresh checkout:\n\n{fenced(rows)}{walls}"


def _request(request: Request) -> str:
    """Exactly what the agents got, so that whoever reads it sees no less than they did."""
    lines = [request.title, "", request.body, *([""] if request.acceptance else [])]
    text = "\n".join([*lines, *(f"- {line}" for line in request.acceptance)]).strip()
    return (
        f"<details><summary>The request as it was accepted by {plain(request.accepted_by)}</summary>\n\n"
        f"{fenced(text)}\n\nSHA-256 `{request.sha256}`\n\n</details>"
    )


def note(state: TaskState, status: str, remedy: str, unheard: Sequence[tuple[Remark, str]]) -> str:
    """The note on an issue: where the task stands, what is next, who was not heard and why."""
    done = state.current is None
    lines = [
        f"**{state.status if done else plain(status)}**",
        "",
        *(_stage_line(state, stage) for stage in state.stages),
    ]
    if remedy and not done:
        lines += ["", f"→ {plain(remedy)}"]
    lines += _unheard(unheard)
    lines += ["", _HELP] if not done else []
    return _bounded("\n".join(lines))


_HELP = (
    "<sub>Comments of people with write access reach the agent. `/pullwright pause`, `resume`, `cancel`, `retry`, "
    "`assign AGENT`, `answer TEXT`, `comment TEXT` and `budget steps=300` do what they say.</sub>"
)


def _stage_line(state: TaskState, stage: Stage) -> str:
    """One stage on one line, with a sign for how it stands."""
    now = state.open
    if stage in state.done:
        return f"- {GLYPHS['done']} {stage}"
    if now is None or now.ref.stage != stage:
        return f"- {GLYPHS['open']} {stage}"
    entry = now.entry
    percent = f", {entry.progress} %" if entry.state == "working" else ""
    who = f"{plain(entry.agent)}, attempt {entry.attempt}"
    return f"- {GLYPHS.get(entry.state, '·')} {stage}: {entry.state}{percent}, {who}"


MOST_HEARD, MOST_STRANGERS = 5, 3
"""Rows about what people who are heard said in vain, the newest of them; and about people who are not, the first of
them and one a person. So nobody who is not heard can have a note written anew again and again."""


def _unheard(unheard: Sequence[tuple[Remark, str]]) -> list[str]:
    strangers: dict[int, tuple[Remark, str]] = {}
    for remark, why in unheard:
        if not remark.who.trusted:
            strangers.setdefault(remark.who.id, (remark, why))
    heard = [each for each in unheard if each[0].who.trusted][-MOST_HEARD:]
    shown = [*list(strangers.values())[:MOST_STRANGERS], *heard]
    rows = [f"- {plain(remark.who.name)}, {remark.place}: {plain(why)}" for remark, why in shown]
    return ["", "Not acted on:", *rows] if rows else []


def unseen(lost: Sequence[str]) -> str:
    """What of a remark was left out."""
    return f"what nobody sees of it was left out ({', '.join(lost)})"


def refused(why: str) -> str:
    """The note on an issue that did not become a task."""
    return f"This is not a task yet: {plain(why)}."


def stranger() -> str:
    """Why a proposal that looks like ours does not count."""
    return (
        "This pull request's branch is named like one of Pullwright's, but it is not from this repository or not by "
        "one of Pullwright's accounts: it stands for no stage, and merging it moves no task."
    )


def reworked(head: str) -> str:
    """The answer in a thread."""
    return f"Taken up: see {head[:10]}."


def aside(agent: str, text: str) -> str:
    """What an agent says below an issue, in a fence: it mentions, closes and commands nothing."""
    return _bounded(f"{plain(agent)} (agent) says:\n\n{fenced(text)}")


def spoken(who: str, model: str, how: str, text: str, below: str = "") -> str:
    """What was said of a task elsewhere, as a comment: who, how, and the words in a fence; `below` is a remark to it.

    Long lines are broken at spaces: a fence does not do it.
    """
    lines = [part for line in text.splitlines() for part in (wrap(line, WIDTH, **_AS_THEY_ARE) or [""])]
    head = f"**{plain(who)}**{f' ({plain(model)})' if model else ''} {how}:"
    end = f"\n\n<sub>{plain(below)}</sub>" if below else ""
    return f"{head}\n\n{fenced(chr(10).join(lines)[: LIMIT - len(end) - 1000])}{end}"


WIDTH = 100
_AS_THEY_ARE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}


def _bounded(text: str) -> str:
    return text if len(text) <= LIMIT else text[:LIMIT] + "\n```\n\n(cut)"
