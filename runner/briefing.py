"""What a stage's agent is told first, read from the repository: for the run itself, and for a person who asks."""

from collections.abc import Sequence

from runner import git, prompting
from runner.agents import Settings
from runner.gates.case import change, generated
from runner.lifecycle import Stage
from runner.models import Message
from runner.record import Request

DOCUMENTS = ("design.md", "test-report.md", "review.md")


def documents(repo: git.Repo, head: str, folder: str) -> dict[str, str]:
    """What the stages of a task wrote so far, by name; `folder` is that of its record."""
    found = git.texts(repo, head, *(f"{folder}/{name}" for name in DOCUMENTS))
    return {path.rpartition("/")[2]: data.decode("utf-8", "replace") for path, data in found.items() if data}


def opening(
    repo: git.Repo,
    settings: Settings,
    stage: Stage,
    request: Request,
    folder: str,
    *,
    head: str,
    base: str,
    context: int,
    feedback: str = "",
    conflicts: Sequence[str] = (),
) -> tuple[Message, ...]:
    """The prompt of `stage` on the work at `head`, for a window of `context` tokens.

    What stands on `base` decides how the agent is steered, never what stands on its own branch. Raises `UserError` for
    a prompt of the repository's own that cannot be used.
    """
    changed = set(change(repo, head, base, base)) - generated(folder)
    prompt = f".pullwright/prompts/{stage}.md"
    there = git.texts(repo, base, prompt, "AGENTS.md")
    own = there.get(prompt)
    return prompting.opening(
        stage=stage,
        template=own.decode("utf-8", "replace") if own else prompting.packaged(stage),
        template_name=prompt if own else f"{stage}.md",
        request=request,
        folder=folder,
        checks=settings.checks,
        tests=settings.tests,
        documents=documents(repo, head, folder),
        guidance=there.get("AGENTS.md", b"").decode("utf-8", "replace"),
        feedback=feedback,
        conflicts=conflicts,
        changed=sorted(changed),
        context=context,
    )
