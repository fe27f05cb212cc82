"""What an agent that talks can look at: files, history and differences as Git has them. Nothing here writes.

A tool's first parameter is the `View`, and no part of its schema (`runner.tools.schema`).
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from runner import git
from runner.errors import ToolError
from runner.host import Site
from runner.models import ToolSpec
from runner.parsing.characters import unfit
from runner.secrets import Redactor
from runner.talk import discussions
from runner.talk import files as kinds
from runner.talk.paper import KIND
from runner.talk.papers import Words, wordless
from runner.tools import Observation, describe
from runner.tools.text import elide, plain
from runner.tools.untrusted import fenced

PAGE, HITS, COMMITS = 100, 30, 20
LINE = 300
LARGEST = 5 << 20
MOST_READ = 1 << 20  # bytes of a difference, or of lines that are found
_COMMIT = re.compile(r"[0-9a-f]{4,64}")


class View(NamedTuple):
    """Where to look: the commit `head`, the commit `base` with which it is compared, a discussion's files.

    `cap` is the length in characters of what is shown of one result, `words` are those of a PDF.
    """

    site: Site
    head: str
    base: str
    discussion: str
    cap: int
    redactor: Redactor
    words: Words = wordless


Line = Annotated[int, Meta(ge=1)]


def view(look: View, path: str, start: Line = 1) -> Observation:
    """Show a file of the repository with line numbers, 100 lines at a time, or list a folder.

    path: a file or folder of the repository, such as src/calc.py
    start: the first line to show, such as 101
    """
    name = _path(path)
    if name == "." or _kind(look, name) == "tree":
        return Observation(_listing(look, name))
    return Observation(_page(name, _blob(look, name), start, look.cap))


def search(look: View, text: str, path: str = ".") -> Observation:
    """Find the lines of the repository that hold a text, as file:line: text.

    text: what to look for, letter for letter, such as def parse
    path: only in this file or folder, such as src
    """
    if not text.strip() or "\n" in text:
        raise ToolError("Give a text of one line to look for.")
    fold = ("--ignore-case",) if text == text.lower() else ()
    args = ("grep", "-n", "-I", "--no-color", "--full-name", "--fixed-strings", *fold, "-e", text, look.head, "--")
    found = git.beginning(look.site.repo, MOST_READ, *args, *(() if _path(path) == "." else (_path(path),)))
    hits = found.decode("utf-8", "replace").splitlines()
    if not hits:
        raise ToolError(f"Nothing under {_path(path)} holds that text.")
    shown = [hit.removeprefix(f"{look.head}:")[:LINE] for hit in hits[:HITS]]
    more = [f"({len(hits) - HITS} more: search for something longer)"] if len(hits) > HITS else []
    return Observation("\n".join([*shown, *more]))


def diff(look: View, path: str = ".", commit: str = "") -> Observation:
    """Show what this task has changed so far, or what one commit changed.

    path: only of this file or folder, such as src/calc.py
    commit: the id of a commit that `log` showed, such as 4f2a91c
    """
    limit = () if _path(path) == "." else (_path(path),)
    if commit:
        old, new = f"{_commit(look, commit)}^", _commit(look, commit)
        if git.resolve(look.site.repo, old) is None:
            old = git.git(look.site.repo, "hash-object", "-t", "tree", "--stdin")
    else:
        old, new = look.base, look.head
    said = difference(look.site.repo, old, new, *limit)
    return Observation(said or "There is no difference.")


def log(look: View, path: str = ".") -> Observation:
    """List the last 20 commits, newest first: id, date, who, what.

    path: only those that changed this file or folder, such as src/calc.py
    """
    limit = () if _path(path) == "." else (_path(path),)
    form = ("--format=%h %as %an: %s", f"--max-count={COMMITS}")
    out = git.git(look.site.repo, "log", *form, look.head, "--", *limit)
    return Observation(out or f"No commit touches {_path(path)}.")


def file(look: View, name: str, start: Line = 1) -> Observation:
    """Show a file that somebody sent in this conversation, 100 lines at a time.

    name: its name, such as notes.txt
    start: the first line to show, such as 101
    """
    found = discussions.read(look.site, look.discussion)
    data = discussions.content(look.site, look.discussion, name, found.head) if found else None
    if data is None or found is None:
        names = ", ".join(found.files) if found else ""
        raise ToolError(f"No file {name} was sent. " + (f"There are: {names}" if names else "There are none."))
    media = kinds.media_type(name, data)
    text = data.decode("utf-8", "replace") if kinds.is_text(media) else ""
    if media == KIND:
        text = _words(look, name, data)
    elif not kinds.is_text(media):
        raise ToolError(f"{name} is a file of {len(data)} bytes ({media}), and cannot be read as text.")
    page = _page(name, text, start, look.cap - 300)
    return Observation(fenced(f"the file {name}", page, look.cap, "look at a smaller part"))


TOOLS: dict[str, Callable[..., Observation]] = {
    "view": view,
    "search": search,
    "diff": diff,
    "log": log,
    "file": file,
}
SPECS: tuple[ToolSpec, ...] = tuple(describe(tool) for tool in TOOLS.values())


def run(look: View, name: str, arguments: dict[str, Any]) -> str:
    """What a look shows: without controls and secrets, cut to the view's cap. A refusal is told in the same way."""
    try:
        said = TOOLS[name](look, **_fit(arguments)).text
    except (ToolError, kinds.Refused) as error:
        said = str(error)
    except git.GitError as error:
        said = f"That cannot be shown: {error.stderr.strip()[:300]}"
    return elide(look.redactor.clean(plain(said)), look.cap, "look at a smaller part")


def _fit(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments with which a program can be started. Raises `ToolError` for characters that none can be given."""
    for name, value in arguments.items():
        if isinstance(value, str) and (found := unfit(value, "\n\t")):
            raise ToolError(f"{name} holds {found}, which stands in no path and in no line.")
    return arguments


def difference(repo: git.Repo, old: str, new: str, *paths: str) -> str:
    """What differs between two commits, as a person reads it; no program of the repository's has a say in it."""
    plainly = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--submodule=short")
    return git.beginning(repo, MOST_READ, "diff", *plainly, old, new, "--", *paths).decode("utf-8", "replace")


def _path(path: str) -> str:
    """A path below the repository. Raises `ToolError` for one that is none."""
    steps = [step for step in path.strip().removeprefix("/workspace/src").split("/") if step not in ("", ".")]
    if ".." in steps or "\0" in path or "\n" in path:
        raise ToolError("Give a path of the repository, such as src/calc.py.")
    return "/".join(steps) or "."


def _commit(look: View, word: str) -> str:
    """A commit of the history that is talked about: the mirror also holds other tasks' branches and what was said of
    them. Raises `ToolError` for what is none."""
    found = git.resolve(look.site.repo, word) if _COMMIT.fullmatch(word) else None
    if found is None or not any(git.is_ancestor(look.site.repo, found, tip) for tip in (look.head, look.base)):
        raise ToolError(f"There is no commit {word[:40]}. The tool log lists them.")
    return found


def _kind(look: View, path: str) -> str:
    done = git.execute(look.site.repo, "cat-file", "-t", f"{look.head}:{path}")
    return done.stdout.decode().strip()


def _blob(look: View, path: str) -> str:
    """The text of a file. Raises `ToolError` for what is none, or too large."""
    size = git.execute(look.site.repo, "cat-file", "-s", f"{look.head}:{path}").stdout.decode().strip()
    if not size:
        raise ToolError(f"{path} does not exist. {_neighbours(look, path)}".strip())
    if int(size) > LARGEST:
        raise ToolError(f"{path} is too large: {size} bytes.")
    data = git.read(look.site.repo, look.head, path)
    if data is not None and data.startswith(b"%PDF-"):
        return _words(look, path, data)
    if data is None or b"\0" in data[:8192]:
        raise ToolError(f"{path} is no text file ({size} bytes).")
    return data.decode("utf-8", "replace")


def _words(look: View, name: str, data: bytes) -> str:
    """The words of a PDF. Raises `ToolError` where there are none."""
    found = look.words(data)
    if not found:
        raise ToolError(f"{name} is a PDF of {len(data)} bytes in which no words can be read.")
    return found


def _neighbours(look: View, path: str) -> str:
    folder = path.rpartition("/")[0] or "."
    try:
        return "Its folder holds: " + ", ".join(_names(look, folder)[:20])
    except ToolError:
        return ""


def _listing(look: View, path: str) -> str:
    names = _names(look, path)
    more = f"\n({len(names) - PAGE} more)" if len(names) > PAGE else ""
    return f"{path}: {len(names)} entries\n" + "\n".join(names[:PAGE]) + more


def _names(look: View, folder: str) -> list[str]:
    """What a folder holds, folders first."""
    rev = look.head if folder == "." else f"{look.head}:{folder}"
    done = git.execute(look.site.repo, "ls-tree", "-z", rev)
    if done.returncode != 0:
        raise ToolError(f"There is no folder {folder}.")
    found = []
    for entry in filter(None, done.stdout.decode("utf-8", "replace").split("\0")):
        head, _, name = entry.partition("\t")
        found.append(name + "/" * (head.split()[1] == "tree"))
    return sorted(found, key=lambda name: (not name.endswith("/"), name))


def _page(name: str, text: str, start: int, cap: int) -> str:
    """Numbered lines from `start` on that fit into `cap` characters."""
    lines = text.splitlines()
    if not lines:
        return f"{name} is empty."
    if start > len(lines):
        raise ToolError(f"{name} has only {len(lines)} lines.")
    shown: list[str] = []
    room = cap - len(name) - 120
    for number, line in enumerate(lines[start - 1 : start - 1 + PAGE], start):
        one = f"{number:>4} {line if len(line) <= LINE else line[:LINE] + ' … (cut)'}"
        room -= len(one) + 1
        if room < 0 and shown:
            break
        shown.append(one)
    last = start + len(shown) - 1
    more = f"\n({len(lines) - last} more lines: start={last + 1})" if last < len(lines) else ""
    return f"{name}: lines {start}-{last} of {len(lines)}\n" + "\n".join(shown) + more
