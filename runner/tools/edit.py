"""`edit`: a change to a part of a file."""

from typing import Annotated

from runner.errors import ToolError
from runner.tools.files import absolute, ask_inside, shown
from runner.tools.replacing import apply, parse
from runner.tools.text import plain
from runner.tools.work import Body, Observation, Work


def edit(work: Work, path: str, change: Annotated[str, Body]) -> Observation:
    """Change part of an existing file. SEARCH holds the lines as they are now, REPLACE the lines as they should be.

    path: the file, such as src/calc.py
    change: blocks of lines: <<<<<<< SEARCH, the old lines, =======, the new lines, >>>>>>> REPLACE
    """
    blocks = parse(change)
    name = shown(absolute(path))
    old = ask_inside(work, "load", path)
    windows = "\r\n" in old["text"]
    try:
        text, lines = apply(old["text"].replace("\r\n", "\n"), blocks)
    except ToolError as error:
        raise ToolError(plain(f"{name} was not changed. {error}")[: work.cap]) from None
    # A file that did not compile before may be mended step by step.
    ask_inside(work, "write", path, content=text.replace("\n", "\r\n") if windows else text, check=old["sound"])
    return Observation(plain(f"Changed {name}:\n{lines}")[: work.cap])
