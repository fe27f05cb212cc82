"""Whose turn it is to act.

Exception
├── ToolError     the model: it is told, and goes on
├── UserError     the person: what is wrong, and how to mend it (exit status 1)
└── all else      us (exit status 3, with a report file)
"""

import errno

_ROOM = {errno.ENOSPC, errno.EDQUOT}
_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}
_INDEX = {"SQLITE_FULL", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE"}
ELSEWHERE = "PULLWRIGHT_STATE=DIR puts what this host keeps into another folder"


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


def of_this_machine(error: Exception) -> UserError | None:
    """A disk that is full, or a place where this account may not write: no report of ours would mend that."""
    room = "make room there"
    if str(getattr(error, "sqlite_errorname", "")) in _INDEX:
        return UserError(f"the index: {error}", f"{room}, or let this account write there; {ELSEWHERE}")
    if not isinstance(error, OSError) or error.errno not in _ROOM | _RIGHTS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    remedy = room if error.errno in _ROOM else "let this account read and write there"
    return UserError(f"{where}{error.strerror}", f"{remedy}; {ELSEWHERE}")
