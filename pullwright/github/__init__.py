"""What a repository on GitHub gets from `pullwright init`: the issue form and the workflow."""

from pathlib import Path

from runner.people import issues


def files() -> dict[str, str]:
    """Path in the repository → text."""
    workflow = Path(__file__).with_name("agents.yml").read_text("utf-8")
    return {".github/ISSUE_TEMPLATE/pullwright.yml": issues.FORM, ".github/workflows/agents.yml": workflow}
