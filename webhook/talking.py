"""What the API writes of discussions: to Git, and to nothing else. All of it blocks: not for the event loop."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from runner import wiring
from runner.commands import Command
from runner.errors import UserError
from runner.host import Site, timestamp
from runner.observe import away, read_settings
from runner.talk import discussions, drafting, messages, telling
from runner.talk.desk import Desk
from runner.talk.messages import About, Created, Discussion, Message
from webhook import store
from webhook.authors import named
from webhook.index import BASE, Index
from webhook.keeper import Keeper
from webhook.talk.replies import Replies
from webhook.talk.shapes import Draft, NewDiscussion, NewMessage
from webhook.writing import Conflict, Senseless


class Unknown(Exception):
    """There is no such discussion, task or agent."""


@dataclass(frozen=True)
class Talks:
    """The discussions of one service."""

    site: Site
    keeper: Keeper
    replies: Replies

    def begin(self, asked: NewDiscussion) -> tuple[str, bool]:
        """Begin a discussion, or find a task's own; its id, and whether it is new. Raises `Unknown`, `UserError`."""
        task, title, agent = self.keeper.ask(lambda index, refs: _named(index, asked))
        if asked.task is not None and task is None:
            raise Unknown(f"there is no task {asked.task}")
        if asked.agent is not None and agent is None:
            raise Unknown(f"there is no agent {asked.agent}")
        there = self._find(task) if task else None
        new = there is None
        if there is None:
            chosen = asked.title or title or messages.title_of(asked.text)
            about = About(task or messages.new_id(), chosen, Created(now(), named(asked.who)), task, agent)
            there = discussions.begin(self.site, about, redactor=desk(self.site, self.keeper).redactor)
        self._seen()
        if asked.text:
            self.say(there.about.id, NewMessage(asked.text, who=asked.who))
        return there.about.id, new

    def say(self, id: str, asked: NewMessage) -> tuple[Message, bool]:
        """Say something; what is stored, and whether it is new. The agent is asked, or the task is told.

        Raises `Unknown`, `Senseless`, `Conflict` where the task cannot be told so as it stands, `UserError`.
        """
        there = self.found(id)
        if asked.id is not None and not messages.is_own_id(asked.id):
            raise Senseless("the id of a message is a random UUID in lower case")
        known = next((message for message in there.messages if message.id == asked.id), None)
        stored = known or self._said(there, asked)
        self._seen()
        if messages.is_question(stored):
            self.replies.attend(id)
        return stored, known is None

    def _said(self, there: Discussion, asked: NewMessage) -> Message:
        """The task is told with it, or neither is."""
        unknown = [name for name in asked.files if name not in there.files]
        if unknown:
            raise Senseless(f"no file {unknown[0]} was sent: send it first")
        who, files = named(asked.who), tuple(dict.fromkeys(asked.files))
        said = Message(asked.id or messages.new_id(), now(), "person", who, asked.text, files, verb=asked.verb)
        redactor = desk(self.site, self.keeper).redactor
        order = self._order(there, redactor.clean_struct(said), asked.asked)
        try:
            return discussions.say(self.site, there.about.id, said, redactor=redactor, order=order)
        except discussions.Full as error:
            raise Conflict(f"{error.what}: {error.remedy}") from error

    def attach(self, id: str, name: str, data: bytes, who: str) -> str:
        """Put a file in; the name under which it is stored. Raises `Unknown`, `files.Refused`, `UserError`."""
        self.found(id)
        stored = discussions.attach(
            self.site, id, name, data, named(who), now(), redactor=desk(self.site, self.keeper).redactor
        )
        self._seen()
        return stored

    def draft(self, id: str) -> Draft:
        """The task that a discussion amounts to, as its agent would write it.

        Raises `Unknown`, `Conflict` where enough are being written, `UserError`.
        """
        self.found(id)
        gone = self.keeper.ask(lambda index, refs: away(self.site.repo, refs))
        with self.replies.drafting():
            made = drafting.draft(desk(self.site, self.keeper), id, gone)
        return msgspec.convert(msgspec.to_builtins(made), Draft)

    def made(self, id: str, task: str, title: str, who: str = "") -> None:
        """Note that the discussion became a task."""
        note = Message(messages.note_id(id, task), now(), "note", named(who), f"Became the task {task}: {title}")
        discussions.say(
            self.site, id, msgspec.structs.replace(note, task=task), redactor=desk(self.site, self.keeper).redactor
        )
        self._seen()

    def found(self, id: str) -> Discussion:
        """A discussion. Raises `Unknown`."""
        there = self._find(id)
        if there is None:
            raise Unknown(f"there is no discussion {id}")
        return there

    def _find(self, id: str) -> Discussion | None:
        there = discussions.read(self.site, id)
        if there is None and messages.is_id(id):
            discussions.bring(self.site, id)
            there = discussions.read(self.site, id)
        return there

    def _seen(self) -> None:
        self.keeper.ask(lambda index, refs: None)

    def _order(self, there: Discussion, said: Message, asked: str) -> Command | None:
        """What is said to a task is a command of the same id; to one that is being worked on, talk is a comment too.

        An answer is to the question that was `asked` then, and to no other.
        """
        task = there.about.task
        if task is None:
            if said.verb != "talk":
                raise Senseless(f"this discussion has no task to {said.verb}")
            return None
        state, settings = self.keeper.ask(lambda index, refs: (index.look(refs, task), index.settings()))
        if state is None:
            if said.verb != "talk":
                raise Senseless(f"there is no task {task} any more")
            return None
        try:
            if said.verb == "answer":
                telling.require_same(state, asked)
            return telling.order(state, settings, said)
        except UserError as error:
            raise Conflict(error.what) from error


def desk(site: Site, keeper: Keeper) -> Desk:
    """What answering needs, as the index was when it was last brought forward. Raises `UserError`."""
    conn = store.connect(keeper.options.index, readonly=True)
    try:
        base = store.refs(conn).get(BASE)
    finally:
        conn.close()
    if base is None:
        raise UserError("the hub was not looked at yet", "try it again")
    return wiring.desk(site, read_settings(site.repo, base), base)


def _named(index: Index, asked: NewDiscussion) -> tuple[str | None, str, str | None]:
    """The slug and title of the task, and the name of the agent, that were named by name or id."""
    query = "SELECT slug, title FROM tasks WHERE slug = ? OR id = ?"
    word = asked.task or ""
    row = index.conn.execute(query, (word, word.lower())).fetchone() if asked.task else None
    agent = index.agent(asked.agent) if asked.agent else None
    return (row[0], row[1], agent) if row else (None, "", agent)


def now() -> str:
    """This moment, as records write it."""
    return timestamp(datetime.now(UTC))
