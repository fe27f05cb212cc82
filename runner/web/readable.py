"""A page of the web as text, taken apart in the sandbox: what strangers write reaches no parser outside of it.

A page of ordinary length can keep a parser busy for hours: libxml2 compares each attribute with all others.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path

from runner.errors import ToolError, UserError
from runner.sandbox import Command, Limits, Mount, Sandbox
from runner.web.readable_inside import Readable

INSIDE = "/opt/pullwright"
LIMITS = Limits(seconds=20.0, memory=1 << 30, processes=16, file_size=1, output=16 << 20, open_files=64)
UNREADABLE = "is too tangled to be read as text: it takes too long, or too much memory."


def markdown(sandbox: Sandbox, most: int, html: bytes, charset: str, address: str, limits: Limits = LIMITS) -> Readable:
    """What a person would read of a page, at most so many characters; `address` makes its links whole.

    Raises `ToolError` for a page that cannot be read in time, `UserError` where the sandbox cannot be had.
    """
    mounts = (Mount(_lxml(), f"{INSIDE}/lxml"),)
    folder = str(Path(sandbox.locate(mounts, f"{INSIDE}/lxml")).parent)
    argv = ("python3", "-I", "-S", "-W", "ignore", "-c", _script(), folder, str(most))
    stdin = json.dumps([charset, address]).encode() + b"\n" + html
    result = sandbox.run(Command(argv, mounts, cwd="/", stdin=stdin, limits=limits))
    if result.ending == "failed":
        raise UserError(f"the sandbox could not start: {result.text.strip()[-300:]}", "run `pullwright doctor`")
    try:
        title, text = json.loads(result.output) if result.ok else (None, None)
    except ValueError:
        title = text = None
    if not isinstance(title, str) or not isinstance(text, str):
        raise ToolError(f"{address[:300]} {UNREADABLE}")
    return Readable(title, text)


def _lxml() -> Path:
    found = importlib.util.find_spec("lxml")
    if found is None or found.origin is None:
        raise UserError("the package lxml is missing; pages cannot be read", "install Pullwright again")
    return Path(found.origin).parent


@cache
def _script() -> str:
    return Path(__file__).with_name("readable_inside.py").read_text("utf-8")
