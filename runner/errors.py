"""Whose turn it is to act.

Exception
├── ToolError     the model: it is told, and goes on
├── UserError     the person: what is wrong, and how to mend it (exit status 1)
└── all else      us (exit status 3, with a report file)
"""


class ToolError(Exception):
    """What a tool tells the model when it cannot do what was asked."""


class UserError(Exception):
    """Something only a person can mend.

    `what` names the file, key or command that is at fault; `remedy` says what to do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what if not remedy else f"{what}\n  → {remedy}")
        self.what = what
        self.remedy = remedy
