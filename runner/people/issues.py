"""An issue as a task: its form read strictly, hidden text removed, accepted by a label, frozen. Pure.

The label is the authorisation: who put it on counts, never who wrote the issue. An agent gets what was there when the
label was put on, and no more of it than a person could see.
"""

import hashlib
import re
from typing import Any

import msgspec

from runner.errors import UserError
from runner.forge import Issue
from runner.forge.hidden import visible
from runner.lifecycle import STAGES, Stage
from runner.task import TaskFile, parse_task

WANTED = "What is wanted"
TRUE_IN_THE_END = "What must be true in the end"
COMPLEXITY = "Complexity"
PRIORITY = "Priority"
STAGES_FIELD = "Stages"
AFTER = "After"
HEADINGS = (WANTED, TRUE_IN_THE_END, COMPLEXITY, PRIORITY, STAGES_FIELD, AFTER)
"""The labels of the form's fields, in its order. GitHub writes each as `### <label>` into the issue's text."""

UNSURE = "not sure"
PRIORITIES = {"low": 2, "normal": 5, "high": 8}
EMPTY = ("", "_No response_", "None")

FORM = f"""\
# What GitHub shows under "New issue". An issue becomes a task when somebody with write access puts the label on it;
# the form itself sets no label, since anybody can fill it in.
name: A task for the agents
description: Somebody with write access puts the label `pullwright` on it; then the work begins.
body:
  - type: textarea
    id: wanted
    attributes:
      label: {WANTED}
      description: As you would tell a colleague. It is frozen when the label is put on.
    validations: {{required: true}}
  - type: textarea
    id: acceptance
    attributes:
      label: {TRUE_IN_THE_END}
      description: One line each, such as "GET /login answers 200 for a.b". The test stage must show every one of them.
  - type: dropdown
    id: complexity
    attributes:
      label: {COMPLEXITY}
      description: 1 is a typo, 10 a redesign. It decides which agent takes the task.
      options: [{UNSURE}, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
      default: 0
  - type: dropdown
    id: priority
    attributes:
      label: {PRIORITY}
      options: [{", ".join(PRIORITIES)}]
      default: 1
  - type: dropdown
    id: stages
    attributes:
      label: {STAGES_FIELD}
      description: Which stages it goes through; nothing chosen means all five.
      multiple: true
      options: [{", ".join(STAGES)}]
  - type: input
    id: after
    attributes:
      label: {AFTER}
      description: "Tasks that must be complete first: numbers of issues or names of tasks."
      placeholder: "#12, api-cleanup"
"""
"""The file `.github/ISSUE_TEMPLATE/pullwright.yml`."""


class Accept(msgspec.Struct, frozen=True):
    """The issue becomes a task, or one again: with this request, by this act. `text` is the SHA-256 of what it said."""

    request: TaskFile
    by: str
    act: str
    at: str
    text: str
    source: str


class Withdraw(msgspec.Struct, frozen=True):
    """The issue is not what was accepted: the task holds until the label is put on again. `act` makes it unique."""

    why: str
    act: str


class Refuse(msgspec.Struct, frozen=True):
    """The label does not count, for a reason that people see."""

    why: str


Verdict = Accept | Withdraw | Refuse | None


def judge(issue: Issue, accepted: str | None, withdrawn: bool, acts: frozenset[str]) -> Verdict:
    """What an issue's present state means.

    `accepted` is the `text` of the last acceptance (None: there is none), `withdrawn` whether that one still counts,
    `acts` are the ids of the acts by which it was accepted before.
    """
    if accepted is not None and not withdrawn:
        return _still(issue, accepted)
    act = issue.labelled
    if not issue.open or act is None or not issue.looked_up or act.id in acts:
        return None
    if not act.by.trusted:
        who = "a bot" if act.by.bot else f"an account with {act.by.level} access"
        return Refuse(f"the label was put on by {act.by.name}, {who}: somebody with write access has to do it")
    if issue.edited is not None and issue.edited >= act.at:
        return Refuse("the issue was edited after the label was put on: read it again, and put the label on again")
    try:
        request = read(issue.title, issue.body)
    except UserError as error:
        return Refuse(f"{error.what}. {error.remedy}".strip())
    return Accept(request, f"{act.by.name} ({act.by.id})", act.id, act.at, fingerprint(issue), issue.url)


def _still(issue: Issue, accepted: str) -> Withdraw | None:
    """What may end an acceptance."""
    now = fingerprint(issue)
    if now != accepted:
        return Withdraw("the issue was edited after it was accepted", f"edit-{now[:16]}")
    if not issue.open:
        return Withdraw("the issue was closed", f"closed-{now[:16]}")
    if issue.labelled is None:
        return Withdraw("the label was taken off the issue", f"label-off-{now[:16]}")
    return None


def fingerprint(issue: Issue) -> str:
    """SHA-256 of title and text as GitHub has them, hidden parts and all."""
    return hashlib.sha256(f"{issue.title}\0{issue.body}".encode("utf-8", "surrogatepass")).hexdigest()


# --- the form ------------------------------------------------------------------------------------------------------


def read(title: str, body: str) -> TaskFile:
    """The request that an issue makes: by the form, or in free text. Raises `UserError` for a broken form."""
    title, body = visible(title), visible(body)
    fields = _fields(body)
    values: dict[str, Any] = {"title": " ".join(title.split())[:200] or "Untitled"}
    if fields is None:
        values["description"] = body
    else:
        values |= _values(fields)
    return _checked(values)


def _checked(values: dict[str, Any]) -> TaskFile:
    """As strictly as a task's file, of which it takes the place."""
    data = msgspec.json.encode(values)  # JSON is YAML
    try:
        return parse_task("tasks/the-issue.yaml", data).request
    except UserError as error:
        raise UserError(error.what.replace("tasks/the-issue.yaml", "the issue"), error.remedy) from error


def _fields(body: str) -> dict[str, str] | None:
    """The form's fields, or None for free text. Each heading stands once and in order, else somebody faked one."""
    found: dict[str, list[str]] = {}
    order: list[str] = []
    for line in body.split("\n"):
        heading = _heading(line)
        if heading is not None:
            if heading in found:
                raise UserError(f'the heading "{heading}" stands twice in the issue', "use the form's own heading once")
            order.append(heading)
            found[heading] = []
        elif order:
            found[order[-1]].append(line)
        elif line.strip() and any(_heading(each) for each in body.split("\n")):
            raise UserError("the issue says something before the form begins", "move it below the first heading")
    if not order:
        return None
    if tuple(order) != HEADINGS:
        missing = [heading for heading in HEADINGS if heading not in order]
        what = f"headings are missing: {', '.join(missing)}" if missing else "the headings are out of order"
        raise UserError(f"the issue's form is not whole: {what}", "open a new issue with the form")
    return {heading: "\n".join(lines).strip() for heading, lines in found.items()}


def written(request: TaskFile) -> str:
    """The text by which an issue asks for this, as GitHub would write it from the form.

    Raises `UserError` for what the form cannot say.
    """
    priorities = {number: name for name, number in PRIORITIES.items()}
    stages = "" if request.stages == STAGES else ", ".join(request.stages)
    given = {
        WANTED: request.description,
        TRUE_IN_THE_END: "\n".join(request.acceptance),
        COMPLEXITY: str(request.complexity or UNSURE),
        PRIORITY: priorities.get(request.priority, str(request.priority)),
        STAGES_FIELD: stages,
        AFTER: ", ".join(request.depends_on),
    }
    text = "\n\n".join(f"### {heading}\n\n{given[heading] or EMPTY[1]}" for heading in HEADINGS)
    found = read(request.title, text)
    lost = [key for key in request.__struct_fields__ if getattr(found, key) != getattr(request, key)]
    if lost:
        raise UserError(f"an issue cannot say this {lost[0]}", "leave it out, or write the task as a file")
    return text


_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*")


def _heading(line: str) -> str | None:
    """The form's heading that a line is, or looks like. Fences do not matter: one may never have been closed."""
    match = _HEADING.fullmatch(line)
    name = " ".join(match[1].split()) if match else None
    return next((heading for heading in HEADINGS if name is not None and name.casefold() == heading.casefold()), None)


def _values(fields: dict[str, str]) -> dict[str, Any]:
    given = {heading: "" if text in EMPTY else text for heading, text in fields.items()}
    if not given[WANTED]:
        raise UserError("the issue does not say what is wanted", "fill in the first field")
    values: dict[str, Any] = {"description": given[WANTED], "acceptance": _lines(given[TRUE_IN_THE_END])}
    if given[COMPLEXITY] not in ("", UNSURE):
        values["complexity"] = _number(given[COMPLEXITY])
    priority = given[PRIORITY] or "normal"
    if priority not in PRIORITIES:
        raise UserError(f'"{priority[:40]}" is no priority', f"choose one of {', '.join(PRIORITIES)}")
    values["priority"] = PRIORITIES[priority]
    if given[STAGES_FIELD]:
        values["stages"] = _stages(given[STAGES_FIELD])
    values["depends_on"] = _after(given[AFTER])
    return values


def _lines(text: str) -> list[str]:
    """One acceptance a line, with or without bullets."""
    lines = (re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?", "", line).strip() for line in text.split("\n"))
    return [line for line in lines if line]


def _number(text: str) -> int:
    if not re.fullmatch(r"10|[1-9]", text):
        raise UserError(f'"{text[:40]}" is no complexity', "choose one of the form's")
    return int(text)


def _stages(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    unknown = [name for name in chosen if name not in STAGES]
    if unknown:
        raise UserError(f'"{unknown[0][:40]}" is no stage', f"choose among {', '.join(STAGES)}")
    return [stage for stage in Stage if stage in chosen]


def _after(text: str) -> list[str]:
    names = [name for name in re.split(r"[,\s]+", text) if name]
    return [f"issue-{name[1:]}" if re.fullmatch(r"#[1-9][0-9]*", name) else name for name in dict.fromkeys(names)]
