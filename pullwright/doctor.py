"""`pullwright doctor`: the check-up, printed."""

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from pullwright.checkup import examine
from pullwright.finding import Finding, Verdict
from pullwright.listing import width

COLUMN = 18  # where what was found begins
MARKS: dict[Verdict, tuple[str, str]] = {"fine": ("✓", "green"), "notice": ("!", "yellow"), "problem": ("×", "red")}


def doctor(folder: Path, as_json: bool, load: bool) -> int:
    """Look at everything and print it; the exit status, 1 where something must be mended."""
    found = []
    for finding in examine(folder, load=load):
        found.append(finding)
        if not as_json:
            click.echo(shown(finding, width()))
    sick = any(finding.verdict == "problem" for finding in found)
    if as_json:
        click.echo(json.dumps({"ok": not sick, "findings": msgspec.to_builtins(found)}, indent=2))
    else:
        click.echo("\n" + conclusion(found))
    return int(sick)


def shown(finding: Finding, width: int) -> str:
    """A finding as one reads it, its remedy below. Pure."""
    mark, colour = MARKS[finding.verdict]
    what = finding.what.removesuffix(finding.remedy).strip()
    lines = [*_wrapped(what, width, ""), *(_wrapped(finding.remedy, width, "→ ") if finding.remedy else ())]
    first = f"{click.style(mark, fg=colour)} {finding.subject:<{COLUMN - 3}} {lines[0]}"
    return "\n".join([first, *(" " * COLUMN + line for line in lines[1:])])


def _wrapped(text: str, width: int, before: str) -> list[str]:
    room = max(20, width - COLUMN)
    return textwrap.wrap(before + text, room, subsequent_indent=" " * len(before), break_on_hyphens=False) or [""]


def conclusion(found: Iterable[Finding]) -> str:
    """How it is all in all. Pure."""
    verdicts = [finding.verdict for finding in found]
    problems, notices = verdicts.count("problem"), verdicts.count("notice")
    if not problems:
        return "ready to run" + (f"; {notices} to think about" if notices else "")
    return f"{problems} to mend before work can go on" + (f", {notices} to think about" if notices else "")
