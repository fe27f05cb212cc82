"""With nothing but the service on a host, people are written to all the same: once, and not of what is past."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import repositories as r
from mail_parts import Mailbox, mail_server
from scenes import Scene
from service.running import Service, serving, until

from runner import wiring, worker
from runner.host import Host
from runner.notify import Server

MAIL = {"mail": {"server": "localhost", "sender": "bot@example.org", "to": ["team@example.org"]}}


class Silent(Scene):
    """A scene whose runner writes to nobody."""

    def host(self) -> Host:
        return replace(super().host(), mail=None)


def served(scene: Scene, server: Server) -> Any:
    """A service without runners that knows this mail server."""

    def wire(*given: Any) -> Host:
        return replace(wiring.host(*given), mail=server)

    return serving(scene.folder, wire=wire)


def subjects(box: Mailbox) -> list[str]:
    return [str(letter["Subject"]) for letter in box.letters]


def sent(service: Service) -> list[str]:
    """What was written, or is known to be past, by task and event."""
    folder = service.front.options.site.state / "mail" / "sent"
    return sorted(".".join(path.name.split(".")[:2]) for path in folder.glob("*.json"))


def test_a_merge_that_no_runner_sees_is_written_of_once(tmp_path: Path, person: Path) -> None:
    with mail_server(tmp_path) as (box, server):
        scene = Silent(r.project(tmp_path / "repo", agents=r.settings(notifications=MAIL)))
        r.add_task(scene.folder, stages=["design"])
        scene.run()
        with served(scene, server) as service:  # mail is set up by now, and what stands so is no news
            until(lambda: sent(service) == ["greet.needs-review"], service.log, 60)
            scene.approve()
            until(lambda: subjects(box) == ["Done: Say goodbye"], service.log, 60)
            assert service.faults() == []
        assert [part.get_filename() for part in box.letters[0].iter_attachments()] == ["greet.pdf"]
        assert list(worker.run(replace(scene.host(), mail=server))) == []
    assert len(box.letters) == 1, "the next runner has nothing to add"


def test_mail_that_is_set_up_while_the_service_runs_tells_nothing_of_what_stood_before(
    tmp_path: Path, person: Path
) -> None:
    with mail_server(tmp_path) as (box, server):
        scene = Silent(r.project(tmp_path / "repo", agents=r.settings()))
        names = ["greet", *(f"task-{number}" for number in range(60))]  # more than the ear is told of at once
        text = "title: Say goodbye\ndescription: A second line.\ncomplexity: 2\n"
        r.commit(scene.folder, "Tasks", {f"tasks/{name}.yaml": text for name in names})
        scene.run(task="greet")
        with served(scene, server) as service:  # it has looked once
            r.commit(scene.folder, "Mail", {"agents.yaml": r.settings(notifications=MAIL)})
            until(lambda: sum(line["what"] == "refreshed" for line in service.log) == 2, service.log, 60)
            scene.say("pause", "task-7")
            until(lambda: "greet.needs-review" in sent(service), service.log, 60)
    assert box.letters == []
