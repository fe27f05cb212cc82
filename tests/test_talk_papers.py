"""PDFs that people send: their pages are seen and their words are read, and they are opened in the sandbox alone."""

import base64
import json
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from answer_parts import AT, MODELS, agent, answered, ask, calls, desk_at
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from repositories import add_task, bare_hub, git, project
from repositories import settings as agents_yaml
from service.running import Service, serving, until
from wire import ScriptedOllama
from wire.ollama import says

from runner import workspace
from runner.errors import UserError
from runner.host import site_at
from runner.sandbox import Command, Result
from runner.sandbox.bubblewrap import Bubblewrap
from runner.talk import discussions, papers
from runner.talk.delivering import deliver
from runner.talk.paper import PAGES, Paper, Size, look, png, told


def pdf(*texts: str, size: tuple[float, float] = (300, 400), **more: Any) -> bytes:
    """A PDF with a page for each text, below which a red square stands."""
    into = BytesIO()
    canvas = Canvas(into, pagesize=size, invariant=1, **more)
    for text in texts:
        canvas.drawString(30, 350, text)
        canvas.setFillColorRGB(1, 0, 0)
        canvas.rect(100, 100, 100, 100, stroke=0, fill=1)
        canvas.showPage()
    canvas.save()
    return into.getvalue()


def colour(picture: bytes, width: int, across: int, down: int) -> tuple[int, ...]:
    """The colour of one point of a PNG that we made."""
    start = picture.index(b"IDAT") + 4
    rows = zlib.decompress(picture[start : picture.index(b"IEND") - 4])
    at = down * (1 + 3 * width) + 1 + 3 * across
    return tuple(rows[at : at + 3])


class Absent:
    """Where commands cannot be contained."""

    level = "none"

    def check(self) -> None:
        raise UserError("bubblewrap is missing", "install it")

    def run(self, command: Command) -> Result:
        self.check()
        raise AssertionError

    def locate(self, mounts: object, inside: str) -> str:
        return inside


# --- in the sandbox ------------------------------------------------------------------------------------------------


def test_the_pages_of_a_pdf_become_pictures_and_its_words_text() -> None:
    found, pictures = look(Bubblewrap(), pdf("Hello über uns", "and goodbye"))
    assert (found.pages, found.text, found.why) == (2, "Hello über uns\n\nand goodbye", "")
    (size, _), picture = found.pictures, pictures[0]
    assert (size.width, size.height) == (1000, 1334)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n") and len(pictures) == 2
    assert colour(picture, 1000, 500, 800) == (255, 0, 0), "the square"
    assert colour(picture, 1000, 5, 5) == (255, 255, 255), "the paper"


@pytest.mark.parametrize(
    ("data", "drawn", "why"),
    [
        (b"%PDF-1.7 \xff\0 nothing", 0, "it is broken, locked"),
        (pdf("secret", encrypt=StandardEncryption("open sesame")), 0, "locked with a password"),
        (pdf("wide", size=(14_000, 1)), 1, ""),
        (pdf("tall", size=(1, 14_000)), 1, ""),
        (pdf("large", size=(1e7, 1e7)), 1, ""),
        (pdf(*"xyz"), 2, "The first 2 pages of 3."),
        (b"%PDF-" + b"x" * (10 << 20), 0, "more than 10 MB"),
    ],
    ids=["broken", "locked", "wide", "tall", "large", "long", "heavy"],
)
def test_what_cannot_be_shown_of_a_pdf_is_said(data: bytes, drawn: int, why: str) -> None:
    found, pictures = look(Bubblewrap(), data, most=2)
    assert len(found.pictures) == len(pictures) == drawn
    assert why in found.why if why else found.why == ""
    assert all(size.width <= 1001 and size.height <= 2001 for size in found.pictures)


def test_a_disk_that_is_full_says_nothing_of_the_pdf(tmp_path: Path) -> None:
    class Full(Absent):
        def run(self, command: Command) -> Result:
            return Result("disk", None, b"the disk is nearly full; nothing was run", 0.0)

    with pytest.raises(UserError, match="the disk is nearly full"):
        papers.read(tmp_path, Full(), "a1", pdf("Hello"))
    assert papers.kept(tmp_path, "a1") is None


# --- what came out of it -------------------------------------------------------------------------------------------

ROWS = b"\0" + b"\x01\x02\x03" * 2


def line(**more: object) -> bytes:
    page = {"page": 1, "text": "words", "width": 2, "height": 1, "pixels": squeezed(ROWS)}
    return json.dumps(page | more).encode() + b"\n"


def squeezed(rows: bytes) -> str:
    return base64.b64encode(zlib.compress(rows)).decode()


HEAD = b'{"pages": 2}\n'


def test_what_came_before_the_end_counts_where_the_next_page_takes_too_long() -> None:
    found, pictures = told(HEAD + line() + line(page=2)[:-20], ended=False)
    assert found == Paper((Size(2, 1),), 2, "words", "The first page of 2: the next one takes too long, or is broken.")
    assert pictures == (png(2, 1, ROWS),)


@pytest.mark.parametrize(
    "lie",
    [
        line(width=3), line(height=2), line(width=-2, height=-1), line(width=1 << 40, height=1 << 40), line(width="2"),
        line(pixels=squeezed(ROWS + b"\0")), line(pixels=squeezed(ROWS[:-1])), line(pixels="%%%"), line(pixels=5),
        line(width=2000, height=2000, pixels=squeezed(bytes(200 << 20))), line(pixels=base64.b64encode(ROWS).decode()),
        b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"5\n", b'{"page": 1}\n', b'{"page": 1, "text": 7}\n', b"{}\n", b"",
    ],
    ids=range(18),
)  # fmt: skip
def test_pixels_that_are_not_what_they_say_are_no_picture(lie: bytes) -> None:
    found, pictures = told(HEAD + lie, ended=True)
    assert pictures == found.pictures == ()
    assert found.why.startswith("This PDF cannot be shown")


@settings(max_examples=60)
@given(st.lists(st.sampled_from([HEAD, line(), line(text="x" * 300_000), b"\n", b"null\n", line()[:9]]) | st.binary()))
def test_whatever_the_sandbox_says_ends_in_a_bounded_paper(lines: list[bytes]) -> None:
    found, pictures = told(b"".join(lines), ended=True)
    assert len(found.pictures) == len(pictures) <= PAGES
    assert len(found.text) <= 200_000
    assert all(picture == png(2, 1, ROWS) for picture in pictures)


def test_a_picture_is_made_of_colours_alone_whatever_filter_its_rows_ask_for() -> None:
    assert png(2, 1, b"\x07" + ROWS[1:]) == png(2, 1, ROWS)


# --- kept ----------------------------------------------------------------------------------------------------------


def test_a_pdf_is_looked_at_once_on_a_host_and_not_at_all_without_a_sandbox(tmp_path: Path) -> None:
    data = pdf("Hello")
    with pytest.raises(UserError):
        papers.read(tmp_path, Absent(), "a1", data)
    made = papers.read(tmp_path, Bubblewrap(), "a1", data)
    assert papers.read(tmp_path, Absent(), "a1", data) == made == papers.kept(tmp_path, "a1")
    assert papers.picture(tmp_path, "a1", 1) and papers.picture(tmp_path, "a1", 2) is None
    assert papers.kept(tmp_path, "a2") is papers.kept(tmp_path, "../../a2") is None


def test_what_was_kept_first_goes_when_it_is_too_much(tmp_path: Path) -> None:
    for number, blob in enumerate(("a1", "a2", "a3")):
        papers.keep(tmp_path, blob, Paper(text=blob), [b"x" * 1000], most=2500)
        there = [name for name in ("a1", "a2", "a3") if papers.kept(tmp_path, name)]
        assert there == [["a1"], ["a1", "a2"], ["a2", "a3"]][number]


# --- who sees and reads it -----------------------------------------------------------------------------------------


def test_an_agent_reads_the_words_of_a_pdf_without_secrets(tmp_path: Path, person: Path) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 4
    with ScriptedOllama([calls("file", name="plan.pdf"), says("It says so.")], models=MODELS) as server:
        here = project(tmp_path / "clone", agents=agents_yaml(agent(server.url, context=32768)))
        bare_hub(here, tmp_path / "hub.git")
        desk = desk_at(here)
        id = ask(desk.site, "0" * 8 + "-0000-4000-8000-" + "0" * 12, "Look").id
        talk = discussions.listing(desk.site)[0].about.id
        discussions.attach(desk.site, talk, "plan.pdf", pdf("The zebra is striped", token), "Pat", AT)
        question = ask(desk.site, talk, "What does the plan say?")
        made, _ = answered(desk, talk, question)
    assert id and [(one.tool, one.what) for one in made.read] == [("file", "plan.pdf")]
    opening, after = server.chats[0]["messages"], server.chats[1]["messages"]
    assert any("The zebra is striped" in message["content"] for message in opening)
    assert "plan.pdf: lines 1-3 of 3" in after[-1]["content"] and "The zebra is striped" in after[-1]["content"]
    assert token not in json.dumps(server.chats)


def test_beside_a_pdf_in_a_workspace_lie_its_words(tmp_path: Path, person: Path) -> None:
    here = project(tmp_path / "clone", agents=agents_yaml())
    add_task(here)
    bare_hub(here, tmp_path / "hub.git")
    site = desk_at(here).site
    ask(site, "greet", "Look")
    discussions.attach(site, "greet", "plan.pdf", pdf("The zebra is striped"), "Pat", AT)
    found = discussions.read(site, "greet")
    assert found is not None
    space = workspace.at(site.state / "workspaces", "gemma", "greet", "tasks/greet")
    space.root.mkdir(parents=True)
    asked: list[bytes] = []

    def words(data: bytes) -> str:
        asked.append(data)
        return papers.reader(site.state, Bubblewrap)(data)

    for _ in range(2):
        assert deliver(site, "greet", space, found.head, words) == ("plan.pdf", "plan.pdf.txt")
    assert (space.root / "discussion/plan.pdf.txt").read_text() == "The zebra is striped"
    assert len(asked) == 1
    discussions.attach(site, "greet", "other.pdf", pdf("Two"), "Pat", AT)
    discussions.attach(site, "greet", "other.pdf.txt", b"mine", "Pat", AT)
    found = discussions.read(site, "greet")
    assert found is not None
    deliver(site, "greet", space, found.head, words)
    assert (space.root / "discussion/other.pdf.txt").read_text() == "mine", "what was sent is not written over"


@pytest.fixture
def place(tmp_path: Path, person: Path) -> Path:
    """A repository with a task."""
    here = project(tmp_path / "clone", agents=agents_yaml())
    add_task(here)
    bare_hub(here, tmp_path / "hub.git")
    return here


def test_the_page_of_a_discussion_shows_the_pages_of_a_pdf(place: Path) -> None:
    with serving(place) as service:
        service.client.post("/api/discussions", json={"task": "greet"})
        service.client.post("/api/discussions/greet/files?name=plan.pdf", content=pdf("Hello", "Goodbye"))
        service.client.post("/api/discussions/greet/files?name=notes.txt", content=b"text")
        body = {"text": "Here it is", "files": ["plan.pdf"]}
        assert service.client.post("/api/discussions/greet/messages", json=body).status_code == 202
        picture = service.client.get("/api/discussions/greet/files/plan.pdf/pages/2")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert picture.content.startswith(b"\x89PNG") and "sandbox" in picture.headers["content-security-policy"]
        for path, status in (("plan.pdf/pages/3", 404), ("notes.txt/pages/1", 404), ("no.pdf/pages/1", 404)):
            assert service.client.get(f"/api/discussions/greet/files/{path}").status_code == status
        assert service.client.get("/api/discussions/greet/files/plan.pdf/pages/0").status_code == 400
        until(lambda: 'alt="Page 2 of 2"' in page(service), "the pages are not shown", 60)
        assert "Goodbye</pre>" in page(service)
        assert service.faults() == []


def page(service: Service, path: str = "/discussions/greet") -> str:
    return service.client.get(path, headers={"accept": "text/html"}).text


def test_the_page_of_a_tasks_file_shows_the_pages_of_a_pdf(place: Path) -> None:
    (place / "plan one.pdf").write_bytes(pdf("Hello", "Goodbye"))
    (place / "note.txt").write_text("no PDF")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "Files")
    git(place, "push", "-q", "origin", "main")
    with serving(place) as service:
        address = "/tasks/greet/files/plan one.pdf"
        until(lambda: 'src="?page=2"' in page(service, address), "the pages are not shown", 60)
        assert "Goodbye</pre>" in page(service, address)
        assert service.client.get(f"{address}?page=2").content.startswith(b"\x89PNG")
        for word in ("3", "0", "x", "²", "-1", "9" * 5000):
            assert service.client.get(f"{address}?page={word}").status_code == 404, word
        assert service.client.get("/tasks/greet/files/note.txt?page=1").status_code == 404
        assert service.client.get(f"{address}?raw=1").content == pdf("Hello", "Goodbye")
        assert service.faults() == []


def test_without_a_sandbox_the_link_stays_and_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLWRIGHT_SANDBOX", "none")
    with serving(place) as service:
        service.client.post("/api/discussions", json={"task": "greet"})
        service.client.post("/api/discussions/greet/files?name=plan.pdf", content=pdf("Hello"))
        service.client.post("/api/discussions/greet/messages", json={"text": "Look", "files": ["plan.pdf"]})
        until(lambda: "it cannot be read safely here: PULLWRIGHT_SANDBOX is" in page(service), "it is not said", 60)
        assert 'href="/api/discussions/greet/files/plan.pdf"' in page(service)
        assert service.client.get("/api/discussions/greet/files/plan.pdf").content == pdf("Hello")
    assert papers.kept(site_at(place).state, papers.blob_of(pdf("Hello"))) is None
