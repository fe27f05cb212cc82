"""People are written to about what happens to a task: once, by the host that has it, later if the server is away."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import repositories as r
from mail_parts import Mailbox, mail_server
from scenes import Scene

from runner.host import Host
from runner.notify import Letter, Server

CANARY = "cnry-9f3KxQ-72w"


class Writing(Scene):
    """A scene with a mail server."""

    server: Server

    def host(self) -> Host:
        return replace(super().host(), mail=self.server)


def scene_of(top: Path, server: Server, told: r.Story | None = None, **mail: object) -> Writing:
    settings = {"mail": {"server": "localhost", "sender": "bot@example.org", "to": ["team@example.org"], **mail}}
    folder = r.project(top / "repo", agents=r.settings(notifications=settings), replies=told)
    scene = Writing(folder)
    scene.server = server
    return scene


def subjects(box: Mailbox) -> list[str]:
    return [str(letter["Subject"]) for letter in box.letters]


def test_each_thing_that_happens_is_written_once(tmp_path: Path, person: Path) -> None:
    told = r.story()
    told["build"].insert(0, ("bash", {"command": "(cd ../output; echo 1 > $'a\\nBcc: x'; echo 2 > $'\\377.txt')"}))
    with mail_server(tmp_path) as (box, server):
        scene = scene_of(tmp_path, server, told)
        r.add_task(scene.folder)
        scene.run()
        assert subjects(box) == ["Please review the design of: Say goodbye"]
        text = box.letters[0].get_body(("plain",))
        assert text is not None and "pullwright review greet --approve" in text.get_content()
        assert not list(box.letters[0].iter_attachments()), "only results are attached"
        scene.run()
        scene.run()
        assert len(box.letters) == 1
        scene.approve()
        scene.run()
        scene.approve()
        scene.run()
    assert subjects(box)[1:] == ["Please review the complete of: Say goodbye", "Done: Say goodbye"]
    names = [part.get_filename() for part in box.letters[-1].iter_attachments()]
    assert names == ["greet.pdf", "a_Bcc: x", "_.txt"], "whatever the agent called them"


def test_a_question_is_written_and_holds_no_secret(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULLWRIGHT_TEST_TOKEN", CANARY)
    told = r.story()
    told["design"] = [("ask", {"question": f"Is {CANARY} right?"})]
    with mail_server(tmp_path) as (box, server):
        scene = scene_of(tmp_path, server, told)
        r.add_task(scene.folder, title=f"Use {CANARY}")
        scene.run()
    assert subjects(box) == ["A question about: Use <secret removed>"]
    assert CANARY.encode() not in box.letters[0].as_bytes() and b"pullwright answer greet" in box.letters[0].as_bytes()


def test_a_server_that_is_away_holds_nothing_up(tmp_path: Path, person: Path) -> None:
    with mail_server(tmp_path) as (_, server):
        pass
    scene = scene_of(tmp_path, server)
    r.add_task(scene.folder)
    assert scene.run() == ["greet design Claim"]
    assert any("mail waits: localhost cannot be used now" in line for line in scene.said)
    [waiting] = (scene.site.state / "mail" / "out").iterdir()
    letter = msgspec.json.decode(waiting.read_bytes(), type=Letter)
    waiting.write_bytes(msgspec.json.encode(msgspec.structs.replace(letter, not_before=0.0)))  # its time has come
    with mail_server(tmp_path) as (box, scene.server):
        scene.run()
        scene.run()
    assert subjects(box) == ["Please review the design of: Say goodbye"]


def test_who_is_told_of_what_is_the_files_to_say(tmp_path: Path, person: Path) -> None:
    with mail_server(tmp_path) as (box, server):
        scene = scene_of(tmp_path, server, tasks={"greet": ["pat@example.org"], "quiet": []}, events=["needs-review"])
        for task in ("greet", "quiet"):
            r.add_task(scene.folder, task)
        replies = r.story()["design"] + r.story("quiet")["design"]
        scene.replies(r.story() | {"design": replies})
        scene.run(task="greet")
        told = [str(letter["To"]) for letter in box.letters]
        scene.replies(r.story("quiet"))
        scene.run(task="quiet")
        assert told == ["pat@example.org"] and len(box.letters) == 1


def test_another_host_writes_nothing_about_what_is_not_its_own(tmp_path: Path, person: Path) -> None:
    with mail_server(tmp_path) as (box, server):
        scene = scene_of(tmp_path, server)
        r.add_task(scene.folder)
        hub = r.bare_hub(scene.folder, tmp_path / "hub.git")
        first = Writing(scene.folder)
        first.server = server
        second = Writing(r.clone(hub, tmp_path / "other"))
        second.server = server
        second.run(task=None, turns=0)
        first.run()
        assert len(box.letters) == 1
        second.run()
        assert len(box.letters) == 1


def test_what_stood_so_before_mail_was_set_up_is_no_news(tmp_path: Path, person: Path) -> None:
    with mail_server(tmp_path) as (box, server):
        scene = scene_of(tmp_path, server)
        r.add_task(scene.folder)
        Scene.run(_without_mail(scene))
        scene.run()
        assert box.letters == []


def _without_mail(scene: Writing) -> Scene:
    class Silent(Scene):
        def host(self) -> Host:
            return replace(super().host(), mail=None)

    return Silent(scene.folder)
