"""What one may read beyond issues and pull requests: files, differences, code, and the logs of checks."""

import base64
from typing import Any, NamedTuple

from fake_github.state import World
from fake_github.values import Refusal


class Moved(NamedTuple):
    """An answer that sends the client elsewhere."""

    location: str


def contents(world: World, path: str, ref: str) -> Any:
    """A file, or what a folder holds."""
    place = f"{ref or 'main'}:{path}"
    if not world.asks("cat-file", "-e", place):
        raise Refusal(404, "Not Found")
    plain = {"name": path.rpartition("/")[2], "path": path, "html_url": f"http://127.0.0.1/blob/{ref or 'main'}/{path}"}
    if world.git("cat-file", "-t", place) == "tree":
        kinds = {"blob": "file", "tree": "dir", "commit": "submodule"}
        lines = [line.split(None, 3) for line in world.git("ls-tree", place).splitlines()]
        return [{"name": name, "path": f"{path}/{name}", "type": kinds[kind]} for _, kind, _, name in lines]
    text = world.git("cat-file", "blob", place).encode()
    if len(text) > 1 << 20:
        return plain | {"type": "file", "size": len(text), "encoding": "none", "content": ""}
    return plain | {
        "type": "file", "size": len(text), "encoding": "base64", "content": base64.encodebytes(text).decode(),
    }  # fmt: skip


def files_of(world: World, base: str, head: str) -> list[dict[str, Any]]:
    """What a pull request changes, file by file."""
    found = []
    for path in world.git("diff", "--name-only", f"{base}...{head}").splitlines():
        whole = world.git("diff", f"{base}...{head}", "--", path)
        patch = whole[whole.index("@@") :] if "@@" in whole else ""
        added, removed = (sum(line.startswith(sign) for line in patch.splitlines()) for sign in "+-")
        found.append({"filename": path, "status": "modified", "additions": added, "deletions": removed,
                      "changes": added + removed, "patch": patch, "sha": "0" * 40})  # fmt: skip
    return found


def search(world: World, query: str) -> list[dict[str, Any]]:
    """The files of main that hold all words; `q` names the repository, as on GitHub."""
    words = [word for word in query.split() if ":" not in word]
    named = [word.removeprefix("repo:") for word in query.split() if word.startswith("repo:")]
    if named != [f"{world.owner}/{world.name}"]:
        raise Refusal(422, "Validation Failed")
    paths = world.git("ls-tree", "-r", "--name-only", "main").splitlines()
    hits = [path for path in paths if all(word in world.git("show", f"main:{path}") for word in words)]
    here = {"full_name": f"{world.owner}/{world.name}"}
    return [{"name": path.rpartition("/")[2], "path": path, "html_url": f"http://127.0.0.1/{path}", "repository": here}
            for path in hits]  # fmt: skip
