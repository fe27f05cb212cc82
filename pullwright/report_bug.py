"""A file with what is known of an error of ours, laid out to be pasted into a report."""

import platform
import sys
import tempfile
import traceback
from pathlib import Path


def write_report(error: BaseException) -> Path:
    """Write the report of `error` to a new file and return its path. Arguments are named, the environment is not."""
    lines = [
        "# Pullwright: an unexpected error",
        f"- command: `{' '.join(['pullwright', *sys.argv[1:]])}`",
        f"- Python {platform.python_version()} on {platform.platform()}",
        "",
        "```",
        "".join(traceback.format_exception(error)).rstrip(),
        "```",
    ]
    handle = tempfile.NamedTemporaryFile("w", prefix="pullwright-error-", suffix=".md", delete=False)  # noqa: SIM115
    with handle as file:
        file.write("\n".join(lines) + "\n")
    return Path(handle.name)
