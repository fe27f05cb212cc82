"""What the loop itself says to a model. Pure."""

from collections.abc import Iterable

from runner.loop.outcome import Limit
from runner.loop.trajectory import Trajectory

FILES, NOTES, WORDS = 10, 4, 2
"""With these the notes have some 600 tokens at worst, and mostly fewer than 200."""

_LIMITS: dict[Limit, str] = {
    "steps": "turns",
    "tokens": "tokens",
    "cost": "money",
    "seconds": "time",
}


def last_turn(limit: Limit) -> str:
    """That only one turn is left."""
    return f"There is no more {_LIMITS[limit]}: this is the last turn. Call finish. Say what is done and what is not."


def not_again(tool: str, others: Iterable[str]) -> str:
    """That a call was not run because it was just run."""
    return (
        f"You already did exactly this, and the result was the same. It was not run again. Choose a different action: "
        f"another {tool}, or {', '.join(others)}."
    )


def notes(trajectory: Trajectory) -> str:
    """What a model has to know of turns that it no longer sees; "" if there is nothing."""
    lines = [f"- a person said: {' '.join(word.split())[:250]}" for word in trajectory.words[-WORDS:]]
    if trajectory.changed:
        lines.append("- files changed so far: " + ", ".join(path[-80:] for path in list(trajectory.changed)[-FILES:]))
    if trajectory.command is not None:
        command = str(trajectory.command.call.arguments["command"]).strip()[:200]
        said = trajectory.command.text.strip().splitlines()
        lines.append(f"- last command: {command} → {said[0][:80]}; its last line: {said[-1][:120]}")
    lines += [f"- noted: {note[:150]}" for note in trajectory.notes[-NOTES:]]
    return "\n".join(["What happened before (earlier turns were left out):", *lines]) if lines else ""
