"""`python3 -m worklog FILE`: print where the hours went."""

import argparse
import sys
from pathlib import Path

from worklog.entry import BadLine, parse_log
from worklog.report import table, totals


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, print the report; 1 when the log cannot be read."""
    parser = argparse.ArgumentParser(prog="worklog", description="Where the hours went.")
    parser.add_argument("log", type=Path, help="a text file, one session a line")
    parser.add_argument("--project", help="only this project")
    options = parser.parse_args(arguments)
    try:
        entries = parse_log(options.log.read_text(encoding="utf-8"))
    except (OSError, BadLine) as error:
        print(f"worklog: {error}", file=sys.stderr)
        return 1
    if options.project:
        entries = [entry for entry in entries if entry.project == options.project]
    print(table(totals(entries)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
