"""The report of a task as a PDF on this host: read from Git at one commit, composed, printed, written."""

from pathlib import Path

from runner import git
from runner.errors import ToolError, UserError
from runner.history import RECORD
from runner.host import Site
from runner.pdf import Images, render
from runner.pdf.images import MOST_BYTES
from runner.progress import kept
from runner.report.text import APPENDICES, SUMMARY, Account, Completed, compose

MOST_IN_DOCUMENT = 1 << 20  # bytes


def report_path(state: Path, task: str) -> Path:
    """Where this host keeps the report of a task."""
    return state / "reports" / f"{task}.pdf"


def write_report(site: Site, task: str, commit: str, completed: Completed | None = None) -> Path:
    """Print what `commit` holds of a task; `completed` where it is complete. Returns the PDF's place.

    Writing it again does no harm: it says what the commit says. Raises `UserError` where there is no record.
    """
    document = compose(read_account(site.repo, task, commit, completed))
    target = report_path(site.state, task)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_bytes(render(document).data)
    scratch.replace(target)
    return target


def read_account(repo: git.Repo, task: str, commit: str, completed: Completed | None = None) -> Account:
    """All that a report tells of, from the repository alone. Raises `UserError` where no record is at `commit`."""
    found = kept(repo, commit, task)
    if found.record is None:
        raise UserError(f"{task} has no record yet: nothing was claimed", f"pullwright run --task {task}")
    there = {file.path: file.blob for file in git.files(repo, commit, found.folder) if file.mode.startswith("100")}
    wanted = {name: there.get(f"{found.folder}/{name}") for name in (SUMMARY, *APPENDICES)}
    texts = git.blobs(repo, [blob for blob in wanted.values() if blob is not None])
    documents = {
        name: texts[blob][:MOST_IN_DOCUMENT].decode("utf-8", "replace") for name, blob in wanted.items() if blob
    }
    return Account(
        task=task,
        record=found.record,
        updates=found.updates,
        documents=documents,
        completed=completed,
        images=_images(repo, there, found.folder),
    )


def completion(repo: git.Repo, task: str, base: str) -> Completed | None:
    """The newest commit of base's own line that touched a task's record, and when it was made."""
    path = f"{kept(repo, base, task).folder}/{RECORD}"
    form = ("--first-parent", "-1", "--format=%H %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ")
    commit, _, when = git.git(repo, "log", *form, base, "--", path, env={"TZ": "UTC"}).partition(" ")
    return Completed(commit, when) if when else None


def _images(repo: git.Repo, files: dict[str, str], folder: str) -> Images:
    """Images by their path below the record's folder; a link in Git is no regular file, so none is among `files`."""

    def read(path: str) -> bytes:
        blob = files.get(f"{folder}/{path}")
        if blob is None:
            raise ToolError("there is no such file in the task's folder")
        if int(git.git(repo, "cat-file", "-s", blob)) > MOST_BYTES:
            raise ToolError(f"it has more than {MOST_BYTES:,} bytes")
        return git.blobs(repo, [blob])[blob]

    return read
