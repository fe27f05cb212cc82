"""A file with what is known of an error of ours, laid out to be pasted into a report."""

import platform
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from pullwright.spoken import clean


def write_report(error: BaseException, version: str) -> Path:
    """Write the report of `error` in our `version` to a new file and return its path.

    The command's arguments are named, without secrets; the environment, where keys are kept, is not.
    """
    lines = [
        "# Pullwright: an unexpected error",
        f"- command: `{' '.join(['pullwright', *sys.argv[1:]])}`",
        f"- Pullwright {version}, Git {_git()}",
        f"- Python {platform.python_version()} on {platform.platform()}",
        "",
        "```",
        "".join(traceback.format_exception(error)).rstrip(),
        "```",
    ]
    handle = tempfile.NamedTemporaryFile("w", prefix="pullwright-error-", suffix=".md", delete=False)  # noqa: SIM115
    with handle as file:
        file.write(clean("\n".join(lines)) + "\n")
    return Path(handle.name)


def _git() -> str:
    try:
        return (
            subprocess.run(["git", "version"], capture_output=True, text=True)
            .stdout.strip()
            .removeprefix("git version ")
        )
    except OSError:
        return "is missing"
