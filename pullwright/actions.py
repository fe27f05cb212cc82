"""Inside a workflow run: what `plan` found as outputs of its step, and a summary that a person likes to read."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SIGNS = {"hold": "⏸", "nothing": "⏳", "finish": "✅"}
LIMIT = 200
"""Tasks in a summary; GitHub drops one of more than 1 MiB."""


def tell(plan: Mapping[str, Any], title: str, env: Mapping[str, str] = os.environ) -> None:
    """Write outputs and summary where GitHub wants them; nothing where no workflow runs."""
    jobs = plan["matrix"]["include"]
    _append(env.get("GITHUB_OUTPUT"), f"work={'true' if jobs else 'false'}\nmatrix={json.dumps(plan['matrix'])}\n")
    _append(env.get("GITHUB_STEP_SUMMARY"), summary(plan["tasks"], plan["problems"], title))


def _append(file: str | None, text: str) -> None:
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def summary(tasks: Sequence[Mapping[str, Any]], problems: Sequence[Mapping[str, Any]], title: str) -> str:
    """Markdown: where each task stands and whose turn it is; what has to be mended first. Pure."""
    lines = [f"### {title}", ""]
    for problem in problems[:LIMIT]:
        lines.append(f"- ⚠ {_cell(problem['path'])}: {_cell(problem['what'])} → {_cell(problem['remedy'])}")
    if not tasks:
        return "\n".join([*lines, "", "There are no tasks.", ""])
    lines += ["", "| | task | stage | | next |", "|---|---|---|---:|---|"]
    for task in tasks[:LIMIT]:
        sign, name = SIGNS.get(task["action"], "▶"), f"**{_cell(task['task'])}** {_cell(task['title'])}"
        following = " → ".join(_cell(each) for each in (task["reason"], task["remedy"]) if each) or "to be done now"
        lines.append(f"| {sign} | {name} | {task['status']} | {task['stage_progress']} % | {following} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Somebody's words in a table: one line, with nothing in it that Markdown would take for more."""
    from runner.people.letters import plain

    return plain(text)
