"""How a task stands, as words and choices of its page. Pure."""

from typing import NamedTuple

from runner.live import Step
from webhook.pages.reading import Attempt, Card
from webhook.shapes import FullTask


class Stop(NamedTuple):
    """A stage on a task's way: its `kind` is how it stands, `words` say so, `begun` whether anybody worked on it."""

    name: str
    kind: str
    words: str
    now: bool
    begun: bool


def track(task: FullTask, card: Card, attempts: tuple[Attempt, ...]) -> list[Stop]:
    """A task's stages in their order."""
    newest = {one.stage: one for one in attempts}
    passed = task.stages.index(card.stage) if card.stage in task.stages else len(task.stages)
    return [_stop(card, name, newest.get(name), at - passed) for at, name in enumerate(task.stages)]


def _stop(card: Card, name: str, attempt: Attempt | None, ahead: int) -> Stop:
    if ahead < 0:
        return Stop(
            name, "done" if attempt else "skipped", "done" if attempt else "skipped", False, attempt is not None
        )
    if ahead > 0:
        return Stop(name, "next", "", False, attempt is not None)
    words = {"hold": "held", "ready": "for you", "work": f"{card.progress} %", "wait": "waits"}.get(card.mark, "next")
    return Stop(name, card.mark, words, True, attempt is not None)


def shown_first(card: Card, track: list[Stop]) -> str:
    """Whose changes are shown unasked: those of the stage at hand, else of the last one; all, when it is complete."""
    begun = [stop.name for stop in track if stop.begun]
    return "all" if card.completed else card.stage if card.stage in begun else (begun or ["design"])[-1]


def by_now(attempts: tuple[Attempt, ...], steps: tuple[Step, ...]) -> tuple[Attempt, ...]:
    """The attempts with what the one at work has used by now, where that is on this host: what was pushed is older."""
    if not steps:
        return attempts
    last = steps[-1]
    at_work = (last.stage, last.attempt, "working")
    return tuple(
        one._replace(steps=last.steps, tokens=last.tokens, cost=last.cost)
        if (one.stage, one.attempt, one.state) == at_work
        else one
        for one in attempts
    )


def totals(attempts: tuple[Attempt, ...]) -> dict[str, float]:
    """What all attempts have used together."""
    return {name: sum(getattr(one, name) or 0 for one in attempts) for name in ("steps", "tokens", "cost", "seconds")}


def buttons(card: Card) -> list[tuple[str, str]]:
    """What a click can do now beside what stands there anyway."""
    hold = card.hold or ""
    changed = hold.startswith("task changed")
    found = [("resume", "Keep the old text" if changed else "Resume")] if hold == "paused" or changed else []
    if card.mark == "hold" and hold != "paused":
        found.append(("retry", "Take the new text" if changed else "Retry"))
    if card.mark in ("work", "next", "wait"):
        found.append(("pause", "Pause"))
    return [*found, ("cancel", "Cancel the task")] if hold != "cancelled" else found


def asks(card: Card) -> str:
    """The question that an agent waits with."""
    kind, _, question = (card.hold or "").partition(": ")
    return question if kind in ("needs input", "no credit") else ""


def gates(card: Card, attempts: tuple[Attempt, ...]) -> str:
    """What the gates of the open stage said, in a sentence."""
    found = next((one.gates for one in reversed(attempts) if one.open), ())
    failed = [str(gate["name"]) for gate in found if gate["exit"] != 0]
    if failed:
        return f"Not passed: {', '.join(failed)}."
    return f"{len(found)} gates have passed." if found else "No gate looks at it."
