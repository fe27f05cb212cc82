"""How the file tools reach a workspace: through the sandbox's own Python, never by opening a path themselves."""

import json
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from runner.errors import ToolError, UserError
from runner.sandbox import Command, Limits, Result
from runner.tools.text import plain
from runner.tools.work import SRC, Work

SECONDS = 30.0
ROOTS = ("/workspace", "/tmp")
LONGEST = 1024


def ask_inside(work: Work, do: str, path: str, **more: Any) -> Any:
    """Have `runner/tools/inside.py` do one operation on `path` in the sandbox; raises `ToolError` if it refuses."""
    place = absolute(path)
    request = {"do": do, "path": work.sandbox.locate(work.mounts, place), "name": shown(place), **more}
    result = work.sandbox.run(
        Command(
            argv=("python3", "-I", "-S", "-W", "ignore", "-c", script()),
            mounts=work.mounts,
            stdin=json.dumps(request).encode("ascii"),
            limits=Limits(seconds=SECONDS, output=16 << 20, memory=work.limits.memory, disk=work.limits.disk),
        )
    )
    return _answer(result)


def _answer(result: Result) -> Any:
    require_started(result)
    try:
        answer = json.loads(result.output)
        if "refused" in answer:
            raise ToolError(plain(answer["refused"]))
        return answer["ok"]
    except (ValueError, TypeError, KeyError):
        said = plain(result.text).strip()[-300:] or "no answer"
        raise ToolError(f"The file could not be reached ({result.ending}): {said}") from None


def require_started(result: Result) -> None:
    """Raise `UserError` if the sandbox itself could not start: nothing that a model does can mend that."""
    if result.ending == "failed":
        raise UserError(
            f"the sandbox could not start a command: {result.text.strip()[-500:]}", "run `pullwright doctor`"
        )


def absolute(path: str) -> str:
    """A model's path as the sandbox knows it: what is not absolute is relative to the repository. Pure.

    The sandbox is the wall; this only tells a model early that it is looking in the wrong place.
    """
    if not path.strip() or "\0" in path or len(path) > LONGEST:
        raise ToolError("Give a path such as src/calc.py.")
    place = normpath(str(PurePosixPath(SRC) / path.strip()))
    if not any(place == root or place.startswith(root + "/") for root in ROOTS):
        raise ToolError(f"{path} is outside the workspace. Paths are relative to the repository, such as src/calc.py.")
    return place


def shown(place: str) -> str:
    """A path as a model should write it: relative where it is in the repository."""
    return "." if place == SRC else place.removeprefix(SRC + "/")


@cache
def script() -> str:
    """The source that is handed to the sandbox's Python."""
    return Path(__file__).with_name("inside.py").read_text("utf-8")
