"""Whether somebody watches, and how they like it."""

import os
from typing import TextIO


def is_terminal(out: TextIO) -> bool:
    """Whether somebody watches who can see a line change."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def has_colours(out: TextIO) -> bool:
    """Whether colours may be written: to a terminal, and not for who sets `NO_COLOR` (no-color.org)."""
    return is_terminal(out) and not os.environ.get("NO_COLOR")
