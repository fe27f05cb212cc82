"""No canary in what leaves this host or is kept beside Git: the model's requests, the mail as it arrives, the index."""

import contextlib
import ctypes
import json
import sqlite3
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pypdfium2  # type: ignore[import-untyped]
import pytest
import repositories as r
from mail_parts import PASSWORD, USER, Mailbox, mail_server
from scenes import Scene
from test_canaries import CANARY, OTHER, TRIES, home, leaks
from wire import Answer, ScriptedOllama
from wire.ollama import MODEL, says

from runner.notify import Server
from runner.observe import fetch_refs
from runner.secrets import MARK, Redactor
from webhook.index import Index

__all__ = ["home"]

SPELT = {
    "plain": CANARY, "reversed": CANARY[::-1], "hex": CANARY.encode().hex(), "url": quote(CANARY, safe=""),
    "base64": "Y25yeS05ZjNLeFEvNzIrdz1a", "base64 in a longer text": "eDpjbnJ5LTlmM0t4US83Mit3PVo=",
    "escaped": "".join(f"\\x{byte:02x}" for byte in CANARY.encode()), "json": json.dumps(CANARY),
}  # fmt: skip
"""As an agent may write it; the base64 is written out, so that our own encoder is not asked twice."""


PIECES = f"k={CANARY[:9]}; k=${{k}}{CANARY[9:]}"
"""Put together where it is used, so that it is in no command; what comes of it is."""
PRINTED = (
    "echo $k; printf %s $k | base64; printf x%s $k | base64 -w 7; printf %s $k | base32",
    "printf %s $k | od -An -tx1; echo $k | rev; env k=$k",
    "python3 -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1], str()))' $k",
    'python3 -c "import sys; sys.exit(sys.argv[1])" $k',
)


def as_chats(calls: list[r.Call]) -> Iterator[Answer]:
    """Calls as a small model says them: an object, then the long text in a fence."""
    for name, given in calls:
        body = next((key for key in ("content", "text") if key in given and name != "note"), None)
        yield says(json.dumps({"tool": name, "arguments": {key: given[key] for key in given if key != body}}))
        if body:
            yield says(f"~~~~\n{given[body]}\n~~~~")


STAGES = ("build", "complete")


def told(tries: Sequence[str]) -> r.Story:
    """A story whose agent has got hold of the secret and says it to everybody, in every spelling."""
    story, everything = r.story(), "\n".join(SPELT.values())
    shown = [("bash", {"command": line}) for line in (*tries, f"cat <<'END'\n{everything}\nEND")]
    story["build"] = [*shown, story["build"][0], ("finish", {"summary": f"The key is {SPELT['base64']}"})]
    story["complete"][:0] = [
        ("bash", {"command": f"{PIECES}; printf %s $k > /workspace/output/key.txt"}),
        ("mail_send", {"subject": f"Key {SPELT['url']}", "text": everything, "attach": "output/key.txt"}),
        ("mail_send", {"subject": f"Key {SPELT['url']}", "text": f"{everything}\n{OTHER}"}),
        ("bash", {"command": "rm /workspace/output/key.txt"}),
    ]
    story["complete"][-1] = ("finish", {"summary": f"Done with {SPELT['hex']}."})
    return {stage: story[stage] for stage in STAGES}


def settings(model: str, port: int) -> str:
    agent = {"name": "gemma", "model": MODEL, "endpoint": model, "tools": ["bash", "files", "mail"]}
    mail = {"server": f"localhost:{port}", "sender": "bot@example.org", "to": ["team@example.org"],
            "user": "env:TEST_MAIL_USER", "password": "env:TEST_MAIL_PASSWORD"}  # fmt: skip
    return r.settings(agent, policy={"review": r.AUTO, "egress": ["mail"]}, notifications={"mail": mail})


def plant(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the files of another task, and where there is a keyring, in that."""
    other = scene.site.state / "workspaces/gemma/tasks/other/src"
    other.mkdir(parents=True)
    (other / "secret.txt").write_text(CANARY)
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).syscall(248, b"user", b"pullwright-test", CANARY.encode(), len(CANARY), -3)  # add_key(2)


def texts(letter: EmailMessage) -> str:
    """All that somebody who gets the letter can read, that of PDFs included."""
    found = [f"{key}: {value}" for key, value in letter.items()]
    for part in letter.walk():
        if part.get_content_type() == "application/pdf":
            document = pypdfium2.PdfDocument(part.get_payload(decode=True))
            found += [page.get_textpage().get_text_range() for page in document]
        elif not part.is_multipart():
            content = part.get_content()
            found.append(content if isinstance(content, str) else content.decode("utf-8", "replace"))
    return "\n".join(found)


def rows(path: Path) -> str:
    """Every value in every table of the index."""
    with contextlib.closing(sqlite3.connect(path)) as index:
        tables = [name for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return "\n".join(str(row) for table in tables for row in index.execute(f'SELECT * FROM "{table}"'))


def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: Sequence[str] = ()) -> tuple[Scene, dict[str, str]]:
    """The story, told by a model's server, with a mail server and an index; and all that came out of it."""
    monkeypatch.setenv("TEST_MAIL_USER", USER)
    monkeypatch.setenv("TEST_MAIL_PASSWORD", PASSWORD)
    (tmp_path / "mail").mkdir()
    answers = [answer for calls in told(tries).values() for answer in as_chats(calls)]
    with ScriptedOllama(answers) as model, mail_server(tmp_path / "mail") as (box, server):
        monkeypatch.setenv("SSL_CERT_FILE", server.ca)
        scene = Scene(r.project(tmp_path / "repo", agents=settings(model.url, server.port)))
        plant(scene, monkeypatch)
        r.add_task(scene.folder, stages=list(STAGES))
        scene.run()
    assert scene.state().current is None, "\n".join(scene.said)
    return scene, outside(scene, model, box, server)


def outside(scene: Scene, model: ScriptedOllama, box: Mailbox, server: Server) -> dict[str, str]:
    """What a reader of each place sees, by its name."""
    index = Index(scene.site.state / "index.sqlite", scene.site)
    index.refresh(fetch_refs(scene.site))
    index.close()
    places = {f"request {n}": json.dumps(body, ensure_ascii=False) for n, body in enumerate(model.chats)}
    places |= {f"headers {n}": str(asked.headers) for n, asked in enumerate(model.requests)}
    places |= {f"letter {letter['Subject']}": texts(letter) for letter in box.letters}
    files = scene.site.state.glob("index.sqlite*")
    return places | {"index rows": rows(index.path)} | {f.name: f.read_bytes().decode("latin-1") for f in files}


def found_in(places: dict[str, str]) -> list[str]:
    wanted = Redactor([CANARY])
    kinds = [*SPELT.values(), OTHER]
    return [name for name, text in places.items() if any(word in text for word in kinds) or wanted.find(text)]


def test_no_request_letter_or_row_holds_a_canary(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, places = play(tmp_path, monkeypatch, (*TRIES, *(f"{PIECES}; {line}" for line in PRINTED)))
    assert found_in(places) == [] and leaks(scene) == []
    requests = [text for name, text in places.items() if name.startswith("request")]
    assert sum(MARK in text for text in requests) > 5 and "it is not sent" in "".join(requests)
    letters = [name for name in places if name.startswith("letter")]
    assert sorted(letters) == ["letter Done: Say goodbye", f"letter [greet] Key {MARK}"]
    assert MARK in places["index rows"] and "greet" in places["index.sqlite"]


def test_the_control_with_a_secret_that_nobody_knows_of(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULLWRIGHT_TEST_TOKEN")
    _, places = play(tmp_path, monkeypatch)
    kinds = {name.partition(" ")[0] for name in found_in(places)}
    assert {"request", "letter", "index", "index.sqlite"} <= kinds
