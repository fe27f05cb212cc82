"""What every task of an agent is given: tools and references of base, from `.pullwright/`, and the operator's.

They lie in `<workspaces>/<agent>/global/`, which commands see read-only. What stands on base counts, never an agent's
branch; what the operator put there stays, unless the repository has a file of that name.
"""

import contextlib
from pathlib import Path

import msgspec

from runner import git
from runner.errors import UserError

KINDS = ("tools", "references")
MODES = {"100644": 0o644, "100755": 0o755}
LIST = ".from-the-repository.json"
"""Which files are the repository's, so that those which it has no longer can go, and no others."""


def provide(shared: Path, repo: git.Repo, rev: str) -> None:
    """Bring `shared` to what the repository has at `rev`. Each file changes at once or not at all."""
    for kind in KINDS:
        _bring(shared / kind, repo, rev, f".pullwright/{kind}")


def _bring(place: Path, repo: git.Repo, rev: str, source: str) -> None:
    found = {file.path.removeprefix(f"{source}/"): file for file in git.files(repo, rev, source)}
    files = {
        path: file for path, file in found.items() if file.mode in MODES
    }  # a link could lead anywhere on this host
    wanted = {path: f"{file.mode} {file.blob}" for path, file in files.items()}
    known = _known(place)
    if known == wanted:
        return
    _note(place, known | dict.fromkeys(wanted, ""))  # so that a run which is killed here leaves nothing unknown
    for path in known.keys() - wanted.keys():
        _remove(place, path)
    texts = git.blobs(repo, [file.blob for file in files.values()])
    for path, file in files.items():
        _write(place / path, texts[file.blob], MODES[file.mode])
    _note(place, wanted)


def _note(place: Path, files: dict[str, str]) -> None:
    _write(place / LIST, msgspec.json.encode(files), 0o600)


def _known(place: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((place / LIST).read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _remove(place: Path, path: str) -> None:
    """A file of the repository's, and the folders that were there for it alone."""
    (place / path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or gone with another
        for folder in (place / path).relative_to(place).parents:
            if folder.name:
                (place / folder).rmdir()


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UserError(f"{path} is in the way of a file of the repository's .pullwright/", "move it away") from None
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_bytes(data)
    scratch.chmod(mode)
    scratch.replace(path)
