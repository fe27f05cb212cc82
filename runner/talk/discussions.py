"""Discussions on the hub: `refs/pullwright/discussions/<id>`, one commit a message, appended by compare-and-swap.

The tree of each commit is the whole discussion: `discussion.json`, `messages.jsonl`, `files/<name>`.
"""

import os
import random
import time
from collections.abc import Callable, Mapping

import msgspec

from runner import commands, git
from runner.commands import Command
from runner.errors import UserError
from runner.host import Site, lock
from runner.secrets import Redactor, known_values
from runner.talk import files as kinds
from runner.talk.files import Refused
from runner.talk.messages import (
    MOST,
    MOST_SAID,
    About,
    Discussion,
    Message,
    assemble,
    is_id,
    lines,
    newest,
    readable,
    within,
)
from runner.wording import one_line

ABOUT, SAID, FILES = "discussion.json", "messages.jsonl", "files/"
PREFIX = "refs/pullwright/discussions/"
HERE = "refs/remotes/hub/pullwright/discussions/"
TRIES = 30
PAUSE = 0.5  # seconds at most between two tries: hosts that speak at once go apart by chance


class Full(UserError):
    """There is no room for one more message."""


Change = Callable[[Discussion | None], "Draft | None"]


class Draft(msgspec.Struct, frozen=True):
    """What a commit will hold beside what is there: the paths that change, and what it says."""

    changes: dict[str, bytes]
    said: str
    when: str


def ref_of(id: str) -> str:
    """The ref that holds a discussion."""
    return PREFIX + id


def read(site: Site, id: str) -> Discussion | None:
    """A discussion as this host's mirror has it; `bring` fetches what is new. None where there is none."""
    return at(site.repo, id, git.resolve(site.repo, HERE + id)) if is_id(id) else None


def at(repo: git.Repo, id: str, commit: str | None) -> Discussion | None:
    """A discussion at one commit of its ref; None for one that cannot be read as such."""
    if commit is None:
        return None
    there = _listed(repo, commit)
    texts = git.blobs(repo, [there[name][0] for name in (ABOUT, SAID) if name in there])
    sent = {path.removeprefix(FILES): size for path, (_, size) in there.items() if path.startswith(FILES)}
    fit = [(name, size) for name, size in sent.items() if kinds.is_name(name) and size <= kinds.MOST_FILE]
    sizes = dict(fit[: kinds.MOST_NUMBER])
    found = [texts.get(there[name][0], b"") if name in there else b"" for name in (ABOUT, SAID)]
    return assemble(id, found[0], found[1], sizes, commit)


def listing(site: Site) -> tuple[Discussion, ...]:
    """Every discussion that this host's mirror has, the one that was spoken in last first."""
    found = (at(site.repo, ref.removeprefix(HERE), oid) for ref, oid in git.refs(site.repo, HERE).items())
    known = [one for one in found if one is not None]
    return tuple(sorted(known, key=lambda one: (newest(one), one.about.id), reverse=True))


def bring(site: Site, id: str | None = None) -> None:
    """Fetch one discussion, or all of them. Raises `UserError` when the hub cannot be reached."""
    if id is not None and not is_id(id):
        return
    with lock(site.state, "fetch"):
        if id is None:
            git.fetch(site.repo, site.hub.url, f"+{PREFIX}*:{HERE}*")
        else:
            _here(site, id)


def content(site: Site, id: str, name: str, commit: str | None = None) -> bytes | None:
    """A file of a discussion, as the mirror has it, or as it was at a commit."""
    tip = commit or (git.resolve(site.repo, HERE + id) if is_id(id) else None)
    return git.read(site.repo, tip, FILES + name) if tip else None


def begin(site: Site, about: About, *, redactor: Redactor | None = None) -> Discussion:
    """Begin a discussion, or find the one that is there under its id: a task has one.

    Raises `UserError` when the hub refuses.
    """
    if not is_id(about.id) or about.task not in (None, about.id):
        raise ValueError(f"{about.id} is no id of a discussion")
    clean = (redactor or _redactor(site)).clean_struct(about)

    def first(there: Discussion | None) -> Draft | None:
        head = f"{one_line(clean.created.who, 60)} begins: {one_line(clean.title, 60)}\n"
        encoded = {ABOUT: msgspec.json.encode(clean) + b"\n", SAID: b""}
        return None if there else Draft(encoded, head, clean.created.at)

    return _append(site, about.id, first)


def say(
    site: Site,
    id: str,
    message: Message,
    files: Mapping[str, bytes] | None = None,
    *,
    redactor: Redactor | None = None,
    order: Command | None = None,
) -> Message:
    """Put a message at the end, once: nothing happens when its id is there already. Returns what is stored.

    `files` are sent with it, by the names in `message.files`. What `redactor` knows (None: this host's secrets) is
    taken out of all of it. `order` is what the discussion's task is told with it, in the same push: whoever is killed
    has said both or nothing. Raises `UserError` when there is no such discussion or the hub refuses, `Full` for a
    person's message that has no room, `Refused` for a file that is not taken.
    """
    cleaner = redactor or _redactor(site)
    clean = cleaner.clean_struct(msgspec.structs.replace(message, text=within(message.text)))
    sent = {kinds.name_of(name): _clean(cleaner, name, data) for name, data in (files or {}).items()}

    def more(there: Discussion | None) -> Draft | None:
        if there is None:
            raise UserError(f"there is no discussion {id}", "begin one first")
        if any(said.id == clean.id for said in there.messages):
            return None
        kinds.room(there.files, {name: len(data) for name, data in sent.items()})
        changes = {FILES + name: data for name, data in sent.items()}
        text = lines((*there.messages, clean))
        if clean.role == "person" and (len(there.messages) >= MOST or len(text) > MOST_SAID):
            raise Full(
                f"this discussion is full: it has {len(there.messages):,} messages, {len(text) >> 10:,} kB",
                "begin another one; to the task itself: pullwright review ID --comment TEXT",
            )
        return Draft(changes | {SAID: text}, readable(clean), clean.at)

    def told() -> git.Push | None:
        ref = commands.ref_of(id)
        return commands.drafted(site.repo, site.hub.url, ref, order) if order is not None else None

    stored = _append(site, id, more, told)
    return next(said for said in stored.messages if said.id == clean.id)


def attach(site: Site, id: str, name: str, data: bytes, who: str, at: str, *, redactor: Redactor | None = None) -> str:
    """Put a file into a discussion, before the message that goes with it; returns the name under which it is stored.

    The same file again changes nothing; another one of the same name gets a number. Raises `Refused`, `UserError`.
    """
    wanted = kinds.name_of(name)
    clean = _clean(redactor or _redactor(site), wanted, data)
    stored = [wanted]

    def more(there: Discussion | None) -> Draft | None:
        if there is None:
            raise UserError(f"there is no discussion {id}", "begin one first")
        found, known = _free(site, there, wanted, clean)
        stored[0] = found
        if known:
            return None
        kinds.room(there.files, {found: len(clean)})
        return Draft({FILES + found: clean}, f"{one_line(who, 60)}: file {one_line(found)}\n", at)

    _append(site, id, more)
    return stored[0]


def _free(site: Site, there: Discussion, wanted: str, data: bytes) -> tuple[str, bool]:
    """The name for a file, and whether it is there under it already."""
    number, name = 1, wanted
    taken = {known.casefold(): known for known in there.files}  # some file systems do not tell `A` from `a`
    while name.casefold() in taken:
        if name in there.files and content(site, there.about.id, name, there.head) == data:
            return name, True
        number += 1
        name = kinds.another(wanted, number)
    return name, False


def _clean(redactor: Redactor, name: str, data: bytes) -> bytes:
    """A file as it is stored: of a text the secrets are taken out. Raises `Refused`."""
    if len(data) > kinds.MOST_FILE:
        raise Refused(f"{name} has more than {kinds.MOST_FILE >> 20} MB", large=True)
    return redactor.clean_bytes(data) if kinds.is_text(kinds.media_type(name, data)) else data


def _append(site: Site, id: str, change: Change, also: Callable[[], git.Push | None] = lambda: None) -> Discussion:
    """Carry a change to the hub, made anew for each state of the discussion that is met there; `also` with it."""
    said = ""
    for number in range(TRIES):
        if number:
            time.sleep(random.uniform(0, min(PAUSE, 0.05 * 2**number)))
        with lock(site.state, "fetch"):
            there = at(site.repo, id, _here(site, id))
            draft = change(there)
            if draft is None:
                assert there is not None
                return there
            made = _commit(site.repo, there, draft)
            old = there.head if there else ""
            moves = (git.Push(ref_of(id), made, old), also())
            answer = git.push(site.repo, site.hub.url, *(move for move in moves if move is not None))
            if answer.flags.get(ref_of(id)) in ("*", " ") or _tip(site, id) == made:
                git.git(site.repo, "update-ref", HERE + id, made)
                stored = at(site.repo, id, made)
                assert stored is not None
                return stored
            said = answer.refusal()
    raise UserError(f"the hub did not take what was said: {said}", "look at the remote's rules for refs/pullwright/*")


def _commit(repo: git.Repo, there: Discussion | None, draft: Draft) -> str:
    return git.commit_with(repo, draft.changes, [there.head] if there else [], draft.said, when=draft.when)


def _tip(site: Site, id: str) -> str | None:
    return git.remote_refs(site.repo, site.hub.url, ref_of(id)).get(ref_of(id))


def _here(site: Site, id: str) -> str | None:
    """The hub's commit of a discussion, fetched if this host has not seen it."""
    tip = _tip(site, id)
    if tip is not None and git.resolve(site.repo, HERE + id) != tip:
        git.fetch(site.repo, site.hub.url, f"+{ref_of(id)}:{HERE}{id}")
    return tip


def _listed(repo: git.Repo, commit: str) -> dict[str, tuple[str, int]]:
    """Path → blob and size of the regular files of a discussion's commit."""
    out = git.git(repo, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    found = {}
    for entry in filter(None, out.split("\0")):
        head, _, path = entry.partition("\t")
        mode, _, blob, size = head.split()
        if mode.startswith("100"):
            found[path] = (blob, int(size))
    return found


def _redactor(site: Site) -> Redactor:
    """What takes this host's secrets out, as far as they can be told without the settings."""
    return Redactor(known_values(os.environ, (), [site.hub.url]))
