"""The part of the file tools that runs inside the sandbox: one request as JSON on stdin, one answer on stdout.

It is handed to the sandbox's own `python3 -I -S -c`, so it uses the standard library alone and trusts nothing around
it. The answer is `{"ok": …}`, or `{"refused": sentence}` for the model to read.
"""

import base64
import contextlib
import itertools
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PAGE = 100
"""Lines of one page: SWE-agent's viewer (docs/models.md R6)."""
LEVELS = 4
"""Of a folder's tree, at most."""
HITS = 30
LINE = 300
SHOWN = 5 << 20
EDITED = 256 << 10
# What nobody wrote is not shown unless it is asked for by its path.
SKIPPED = {".git", "node_modules", "__pycache__", ".venv", ".tox", ".mypy_cache", ".pytest_cache"}


class Refused(Exception):
    """What cannot be done, as a sentence."""


def read(path: str, name: str, largest: int) -> bytes:
    """The bytes of a regular text file of at most `largest` bytes; never waits for a FIFO or a device."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refused(f"{name} does not exist. {neighbours(path)}".strip()) from None
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error.strerror}.") from None
    with open(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{name} is not a file that can be read.")
        if status.st_size > largest:
            raise Refused(f"{name} is too large: {status.st_size} bytes. Use bash with sed, head or grep.")
        data = file.read(largest)
    if b"\0" in data[:8192]:
        raise Refused(f"{name} is a binary file of {len(data)} bytes.")
    return data


def neighbours(path: str) -> str:
    """What the nearest existing folder holds, for a path that was mistyped."""
    folder = Path(path).parent
    if not folder.is_dir():
        return f"There is no folder {folder.name} either."
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name not in SKIPPED)
    return "Its folder holds: " + ", ".join(names[:20]) + (" …" if len(names) > 20 else "") if names else ""


def view(path: str, name: str, start: int, cap: int) -> str:
    """A page of numbered lines that fits into `cap` characters, or what a folder holds."""
    if Path(path).is_dir():
        return listing(path, name, cap)
    data = read(path, name, SHOWN)
    lines = data.decode("utf-8", "replace").splitlines()
    if not lines:
        return f"{name} is empty."
    if start > len(lines):
        raise Refused(f"{name} has only {plural(len(lines), 'line', 'lines')}.")
    shown: list[str] = []
    room = cap - len(name) - 120
    for number, line in enumerate(lines[start - 1 : start - 1 + PAGE], start):
        text = f"{number:>4} {line if len(line) <= LINE else line[:LINE] + ' … (cut)'}"
        room -= len(text) + 1
        if room < 0 and shown:
            break
        shown.append(text)
    last = start + len(shown) - 1
    more = f"\n({len(lines) - last} more lines: view with start={last + 1})" if last < len(lines) else ""
    odd = "" if is_utf8(data) else " (not UTF-8: what cannot be read is shown as \ufffd)"
    return f"{name}: lines {start}-{last} of {len(lines)}{odd}\n" + "\n".join(shown) + more


def is_utf8(data: bytes) -> bool:
    """Whether a text is in the encoding that all tools here write."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def listing(path: str, name: str, cap: int) -> str:
    """A folder as a tree, folders first: as many levels as fit into a page, and into `cap` characters."""
    os.scandir(path).close()  # says it where the folder itself cannot be read
    entries = len(shown_in(path))
    if not entries:
        return f"{name} is an empty folder."
    for depth in range(LEVELS, 0, -1):
        lines = list(itertools.islice(tree(path, depth), PAGE + 1))
        if len(lines) <= PAGE and sum(map(len, lines)) + len(lines) < cap - 120:
            break
    more = f"\n({entries - PAGE} more)" if len(lines) > PAGE else ""
    return f"{name}: {plural(entries, 'entry', 'entries')}\n" + "\n".join(lines[:PAGE]) + more


def tree(path: str, depth: int, indent: str = "") -> Iterator[str]:
    """The lines of a folder's tree; of a folder that is not opened any more, how much it holds."""
    for entry in shown_in(path):
        if not entry.is_dir(follow_symlinks=False):
            yield indent + entry.name
        elif depth > 1:
            yield f"{indent}{entry.name}/"
            yield from tree(entry.path, depth - 1, indent + "  ")
        else:
            yield f"{indent}{entry.name}/ ({len(shown_in(entry.path))})"


def shown_in(path: str) -> list["os.DirEntry[str]"]:
    """A folder's entries, folders first, without what is generated; none of a folder that cannot be read."""
    try:
        entries = [entry for entry in os.scandir(path) if entry.name not in SKIPPED]
    except PermissionError:
        return []
    return sorted(entries, key=lambda entry: (not entry.is_dir(follow_symlinks=False), entry.name))


def search(path: str, name: str, text: str) -> str:
    """The first `HITS` lines that hold `text`, or fit a regular expression between slashes, as `file:line: text`."""
    hits = list(itertools.islice(found(path, pattern(text)), HITS + 1))
    if not hits:
        return f"Nothing under {name} holds that text."
    more = "\n(more than 30 hits: search for something longer, or in one folder)" if len(hits) > HITS else ""
    return "\n".join(hits[:HITS]) + more


def pattern(text: str) -> "re.Pattern[bytes]":
    """What to look for; case counts only if the text has capitals."""
    regular = len(text) > 2 and text[0] == text[-1] == "/"
    words = text[1:-1] if regular else re.escape(text)
    plain = re.sub(r"\\.", "", words) if regular else text  # the W of \W is no capital
    flags = re.MULTILINE if plain != plain.lower() else re.MULTILINE | re.IGNORECASE
    try:
        return re.compile(words.encode("utf-8", "surrogateescape"), flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise Refused(f"{text} is no regular expression: {error}.") from None


def found(path: str, wanted: "re.Pattern[bytes]") -> Iterator[str]:
    """Every hit under a folder or in a file."""
    for file in files(path):
        with contextlib.suppress(Refused):
            data = read(file, file, 1 << 20)
            lines = data.splitlines() if wanted.search(data) else []  # most files have none, which is seen at once
            for number, line in enumerate(lines, 1):
                if wanted.search(line):
                    shown = line.strip()[:120].decode("utf-8", "replace")
                    yield f"{os.path.relpath(file)}:{number}: {shown}"


def files(path: str) -> Iterator[str]:
    """The regular files under a folder in a stable order; generated folders are passed over."""
    if not Path(path).is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - SKIPPED)
        yield from (os.path.join(folder, file) for file in sorted(names))  # noqa: PTH118 (walks many files)


def load(path: str, name: str) -> dict[str, Any]:
    """A whole text file to be changed, and whether it is Python that compiles."""
    data = read(path, name, EDITED)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{name} is not UTF-8 text and cannot be edited. Use bash.") from None
    return {"text": text, "sound": broken(text, name) is None}


def write(path: str, name: str, content: str, check: bool) -> str:
    """Put a text in place of a file, whole or not at all. Python that does not compile is refused if `check`."""
    place = Path(path).resolve()
    if place.is_dir():
        raise Refused(f"{name} is a folder.")
    fault = broken(content, name) if check else None
    if fault:
        raise Refused(f"{name} was not written, because it does not compile: {fault}")
    data = content.encode("utf-8")
    if place.is_file() and place.read_bytes() == data:
        return f"{name} already holds exactly this text. Nothing changed."
    replace(place, data)
    return f"Wrote {name}: {plural(len(content.splitlines()), 'line', 'lines')}."


def plural(number: int, one: str, many: str) -> str:
    """A number with the right word."""
    return f"{number} {one if number == 1 else many}"


def log(path: str, name: str, content: str) -> str:
    """Keep a command's whole output. Its folder is none of the work: Git is told to pass it over."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    (place.parent / ".gitignore").write_text("*\n")
    replace(place, content.encode("utf-8"))
    return name


def put(path: str, name: str, data: str) -> str:
    """Put bytes (in base64) in place of a file, whole or not at all."""
    place = Path(path).resolve()
    if place.is_dir():
        raise Refused(f"{name} is a folder.")
    replace(place, base64.b64decode(data))
    return f"Wrote {name}."


def take(path: str, name: str, most: int) -> str:
    """A regular file's bytes in base64."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error.strerror}. {neighbours(path)}".strip()) from None
    with open(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise Refused(f"{name} is not a file of at most {most} bytes.")
        return base64.b64encode(file.read(most)).decode()


def append(path: str, name: str, content: str) -> str:
    """Add lines to a text, if it does not hold them yet."""
    place = Path(path)
    there = place.read_text("utf-8", "replace") if place.is_file() else ""
    if content not in there:
        replace(place, (there + content).encode("utf-8"))
    return name


def replace(place: Path, data: bytes) -> None:
    """Write beside the file, then rename over it, so that nobody ever sees half of it. The mode bits stay."""
    place.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o644
    handle, beside = tempfile.mkstemp(dir=place.parent, prefix=".writing-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(beside).replace(place)
    except BaseException:
        Path(beside).unlink()
        raise


def broken(text: str, name: str) -> str | None:
    """Why Python source does not compile, with the line that says so; None for all other files."""
    if not name.endswith(".py"):
        return None
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        # Not `error.text`: Python takes that from the file of this name, which still holds the old lines.
        line = "".join(text.splitlines()[(error.lineno or 1) - 1 :][:1])
        return f"line {error.lineno}: {error.msg}\n{line[:LINE]}"
    except (ValueError, RecursionError, MemoryError, UnicodeEncodeError) as error:
        return str(error) or type(error).__name__
    return None


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do one request. What the file system refuses is said, never raised."""
    operations: dict[str, Callable[..., Any]] = {
        "view": view,
        "search": search,
        "load": load,
        "write": write,
        "log": log,
        "put": put,
        "take": take,
        "append": append,
    }
    operation = operations[request.pop("do")]
    try:
        return {"ok": operation(**request)}
    except Refused as error:
        return {"refused": str(error)}
    except UnicodeError:
        return {"refused": f"{request['name']} holds characters that are not text."}
    except OSError as error:
        return {"refused": f"{request['name']}: {error.strerror or error}."}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
