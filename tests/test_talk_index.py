"""The index has what was said, row for row as Git has it; every word can be found."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from runner import git as trusted
from runner.host import Site, site_at
from runner.observe import fetch_refs
from runner.talk.discussions import HERE, attach, begin, say
from runner.talk.messages import About, Created, Message, answer_id, new_id
from webhook.index import Index

AT = "2026-11-23T05:00:00Z"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def says(text: str, **more: object) -> Message:
    return msgspec.structs.replace(Message(new_id(), AT, "person", "Pat", text), **more)


@pytest.fixture
def site(hub: tuple[Path, Path]) -> Site:
    found = site_at(hub[1])
    begin(found, About("greet", "Say goodbye", Created(AT, "Pat"), task="greet"))
    return found


@pytest.fixture
def index(site: Site, tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index.sqlite", site)
    yield made
    made.close()


def rows(index: Index, query: str) -> list[tuple[object, ...]]:
    return index.conn.execute(query).fetchall()


def test_what_is_said_comes_to_the_index_once_and_is_told_once(site: Site, index: Index) -> None:
    index.refresh(fetch_refs(site))
    asked = say(site, "greet", says("Where is the Übergröße?"))
    index.refresh(fetch_refs(site))
    assert rows(index, "SELECT messages, waiting FROM discussions") == [(1, asked.id)]
    say(site, "greet", Message(answer_id(asked.id), AT, "agent", "gemma", "Here.", answers=asked.id))
    attach(site, "greet", "plot.png", PNG, "Pat", AT)
    index.refresh(fetch_refs(site))
    index.rebuild(fetch_refs(site))
    assert rows(index, "SELECT position, role, text FROM discussion_messages ORDER BY 1") == [
        (1, "person", "Where is the Übergröße?"),
        (2, "agent", "Here."),
    ]
    assert rows(index, "SELECT waiting FROM discussions") == [(None,)]
    assert rows(index, "SELECT name, size, media_type FROM discussion_files") == [("plot.png", len(PNG), "image/png")]
    assert rows(index, "SELECT data ->> 'number' FROM events WHERE kind = 'said' ORDER BY seq") == [(1,), (2,)]
    found = rows(index, "SELECT rowid FROM discussion_messages_fts WHERE discussion_messages_fts MATCH 'ubergroße'")
    assert len(found) == 1
    assert index.verify(fetch_refs(site)) == []


def test_a_discussion_that_is_gone_or_was_rewritten_is_so_in_the_index(site: Site, index: Index) -> None:
    for text in ("one", "two"):
        say(site, "greet", says(text))
    index.refresh(fetch_refs(site))
    ref = "refs/pullwright/discussions/greet"
    tip = trusted.remote_refs(site.repo, site.hub.url, ref)[ref]
    before = trusted.resolve(site.repo, f"{HERE}greet^")
    assert trusted.push(site.repo, site.hub.url, trusted.Push(ref, str(before), tip)).flags
    index.refresh(fetch_refs(site))
    assert rows(index, "SELECT text FROM discussion_messages") == [("one",)]
    trusted.push(site.repo, site.hub.url, trusted.Push(ref, "", str(before)))
    index.refresh(fetch_refs(site))
    assert rows(index, "SELECT * FROM discussions") == []
    assert index.verify(fetch_refs(site)) == []


def test_a_ref_that_holds_no_discussion_is_passed_over(site: Site, index: Index) -> None:
    tree = trusted.tree_with(site.repo, None, {"discussion.json": b'{"id": 7}'})
    made = trusted.commit(site.repo, tree, [], "x")
    for name in ("strange", "Not-an-id", "deep/er"):
        trusted.push(site.repo, site.hub.url, trusted.Push(f"refs/pullwright/discussions/{name}", made, ""))
    index.refresh(fetch_refs(site))
    assert rows(index, "SELECT id FROM discussions") == [("greet",)]
    assert index.verify(fetch_refs(site)) == []
