"""A person's day on the pages, in a real Chromium: a real `serve`, real runners, a model behind HTTP."""

import json
import os
import re
import struct
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from answer_parts import NATIVE, agent
from browser import faults, visiting
from page_parts import form
from playwright.sync_api import Browser, expect
from reportlab.pdfgen.canvas import Canvas
from repositories import AUTO, COMMAND, add_task, bare_hub, git, project, settings
from service.running import serving, until
from story_parts import Storyteller

expect.set_options(timeout=60_000)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`pullwright serve` in a process of its own; the link that it prints."""
    serve = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ,
    )  # fmt: skip
    try:
        assert serve.stdout is not None
        yield serve.stdout.readline().split(" at ")[1].strip()
    finally:
        serve.terminate()
        serve.wait(60)


def png(side: int = 24) -> bytes:
    """A picture: a square in one colour."""
    rows = b"".join(b"\0" + b"\x21\x5a\x6d" * side for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def pdf(text: str) -> bytes:
    """A PDF of one page."""
    into = BytesIO()
    canvas = Canvas(into, pagesize=(300, 200))
    canvas.drawString(30, 150, text)
    canvas.save()
    return into.getvalue()


def test_a_person_watches_talks_answers_pauses_and_approves_on_the_pages(
    tmp_path: Path, person: Path, chromium: Browser
) -> None:
    with Storyteller() as model:
        review = AUTO | {"design": "human"}
        clone = project(
            tmp_path / "clone",
            agents=settings(agent(model.url, NATIVE, protocol="native", concurrency=2), review=review),
        )
        add_task(clone, description="People who leave want to be told.", stages=["design", "build"])
        hub = bare_hub(clone, tmp_path / "hub.git")
        with served(clone) as link, visiting(chromium, link.split("/?")[0]) as visit:
            page = visit.page
            page.goto(link)
            assert "ticket" not in page.url
            visit.picture("1-board")

            # The board shows the task, and that somebody is at it.
            expect(page.locator("#t-greet.work")).to_be_visible()
            page.get_by_role("link", name="Say goodbye").first.click()
            expect(page.locator("#log")).to_contain_text("view greeting.txt")
            expect(page.locator(".document .prose")).to_contain_text("A first draft.")
            expect(page.locator(".changes .file")).to_contain_text("A first draft.")
            expect(page.locator(".attempts")).not_to_contain_text("0 steps")
            visit.picture("2-live")

            # It asks, and the board says so.
            model.gates["ask"].set()
            visit.go("/")
            expect(page.locator(".needs")).to_contain_text("Shall it say goodbye, or farewell?")
            visit.picture("4-asks")

            # A question, and its answer while it is being given.
            page.locator(".needs").get_by_role("link", name="Say goodbye").click()
            page.get_by_role("link", name="Talk about it").click()
            page.get_by_label("As", exact=True).select_option("talk")
            page.get_by_label("Your message").fill("What does the greeting say?")
            page.get_by_role("button", name="Send").click()
            coming = page.locator("#coming .stream")
            expect(coming).to_contain_text("as greeting.txt:1 shows;")
            assert "still to come" not in page.content()
            visit.picture("3-streaming")
            page.get_by_role("button", name="Stop").click()
            expect(page.locator(".message.agent")).to_contain_text("stopped")
            expect(page.locator(".message.agent")).to_contain_text("as greeting.txt:1 shows;")

            # Once more, and two of them read it to its end.
            page.get_by_label("As", exact=True).select_option("talk")
            page.get_by_label("Your message").fill("Say it once more.")
            page.get_by_role("button", name="Send").click()
            expect(coming).to_contain_text("as greeting.txt:1 shows;")
            with visiting(chromium, visit.base) as other:
                other.go("/discussions/greet")
                expect(other.page.locator("#coming .stream")).to_contain_text("as greeting.txt:1 shows;")
                model.gates["word"].set()
                expect(other.page.locator(".message.agent").last).to_contain_text(
                    "It says hello, as greeting.txt:1 shows; a"
                )
            expect(page.locator(".message.agent").last.locator("strong")).to_have_text("hello")
            expect(page.locator("#coming")).to_have_count(0)

            # The answer to what it asked lets it go on.
            visit.go("/")
            page.locator(".needs").get_by_role("link", name="Say goodbye").click()
            page.get_by_label("Your answer").fill("Goodbye, with a bow.")
            page.get_by_role("button", name="Answer").click()
            expect(page.get_by_role("status").first).to_contain_text("Answered")
            expect(page.locator(".turn.work")).to_be_visible()

            # A picture and a table, where everybody sees them.
            visit.go("/discussions/greet")
            page.get_by_label("Your message").fill("Here is how it looks, and how often it is read.")
            page.get_by_label("Files").set_input_files(
                [
                    {"name": "look.png", "mimeType": "image/png", "buffer": png()},
                    {"name": "plan.pdf", "mimeType": "application/pdf", "buffer": pdf("How it may look")},
                    {"name": "reads.csv", "mimeType": "text/csv", "buffer": b"day,reads\nMonday,12\nTuesday,7\n"},
                ]
            )
            page.get_by_role("button", name="Send").click()
            picture = page.get_by_role("img", name="look.png")
            expect(picture).to_be_visible()
            expect(picture).to_have_js_property("naturalWidth", 24)
            expect(page.get_by_role("cell", name="Tuesday")).to_be_visible()
            expect(page.get_by_role("img", name="Page 1 of 1")).to_have_js_property("naturalWidth", 1000)
            expect(page.locator(".message.agent")).to_have_count(3)
            visit.picture("5-files")
            assert faults(page) == []
            with visiting(chromium, visit.base, scheme="dark", width=360) as other:
                assert faults(other.go("/discussions/greet")) == []
                assert other.page.evaluate("document.documentElement.scrollWidth") == 360
                other.picture("5-files-narrow")

            # Paused and resumed.
            visit.go("/tasks/greet")
            page.get_by_role("button", name="Pause").click()
            expect(page.locator(".turn.hold")).to_contain_text("paused")
            visit.picture("6-paused")
            model.gates["pause"].set()
            page.get_by_role("button", name="Resume").click()

            # What was said becomes a task, as the person has it in the end.
            visit.go("/discussions/greet")
            page.get_by_role("button", name="Draft a task").click()
            expect(page.get_by_role("textbox", name="Title", exact=True)).to_have_value("Say goodbye in Latin")
            page.get_by_role("textbox", name="Title", exact=True).fill("Say vale")
            visit.picture("7-draft")
            page.get_by_role("button", name="Write the task").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Say vale")
            assert "From discussion greet" in git(hub, "show", "main:tasks/say-vale.yaml")

            # The design is approved, and the board moves while one looks at it.
            with visiting(chromium, visit.base) as other:
                other.go("/")
                expect(other.page.locator("section", has=other.page.locator("#c-design"))).to_contain_text(
                    "Say goodbye"
                )
                visit.go("/tasks/greet")
                expect(page.get_by_role("button", name="Approve design")).to_be_visible()
                expect(page.locator(".document")).to_contain_text("A second line says goodbye.")
                visit.picture("8-proposal")
                page.get_by_role("button", name="Approve design").click()
                expect(page.get_by_role("status").first).to_contain_text("Approved")
                expect(other.page.locator("section", has=other.page.locator("#c-build"))).to_contain_text("Say goodbye")
                other.picture("9-moved")
            assert visit.noticed == []
    said = [
        json.loads(line)
        for line in git(hub, "log", "--format=%B%x00", "refs/pullwright/commands/tasks/greet").split("\0")
        if line.strip()
    ]
    verbs = [command["verb"] for command in reversed(said)]
    assert [verb for verb in verbs if verb != "comment"] == ["answer", "pause", "resume"]
    assert {command["who"] for command in said} == {"Pat <pat@example.invalid>"}
    assert re.search(r"^Author: Pat <pat@example.invalid>", git(hub, "log", "-1", "work/greet"), re.MULTILINE)


# A runner that starts late and says its last word once more just before it ends.
LATE = ("sh", "-c", 'sleep 1; "$@"; tail -n 1 "$0" >> "$0"', ".git/pullwright/live/greet.jsonl", *COMMAND)


def test_what_an_agent_of_this_host_takes_up_is_seen_at_once_however_rarely_the_hub_is_looked_at(
    tmp_path: Path, person: Path
) -> None:
    with Storyteller() as model:
        clone = project(tmp_path / "clone", agents=settings(agent(model.url, NATIVE, protocol="native")))
        add_task(clone)
        bare_hub(clone, tmp_path / "hub.git")
        with serving(clone, dispatch="local", command=LATE, poll=3600.0) as service:

            def stands() -> tuple[str | None, str]:
                task = service.client.get("/api/tasks/greet").json()
                return task["hold"], "".join(one["state"] for one in task["attempts"])

            until(lambda: stands() == (None, "working"), service.log, 60)
            model.gates["ask"].set()
            until(lambda: (stands()[0] or "").startswith("needs input"), service.log, 60)
            form(service, "/tasks/greet/answer", text="Goodbye")
            until(lambda: stands() == (None, "working"), service.log, 60)
