"""What is said to a task that is being worked on reaches the agent before its next step, with what was sent."""

from collections.abc import Callable
from pathlib import Path

from answer_parts import MODELS, agent, calls
from repositories import AUTO, add_task, bare_hub, git, project, settings, typed
from service.running import serving, until
from wire import ScriptedOllama
from wire.ollama import says
from wire.server import Answer, Asked


class Interrupted(ScriptedOllama):
    """Does something while the agent at work waits for its reply number `at`. Who talks has answers of its own."""

    def __init__(self, script: list[Answer], at: int, deed: Callable[[], None]) -> None:
        super().__init__(script, models=MODELS)
        self.at, self.deed, self.working, self.asked = at, deed, 0, 0

    def answer(self, asked: Asked) -> Answer:
        messages = (asked.body or {}).get("messages") or []
        if not messages:
            return super().answer(asked)
        if "A person talks with you" in messages[0]["content"]:
            self.asked += 1
            return says("I hear you.")
        self.working += 1
        if self.working == self.at:
            self.deed()
        return super().answer(asked)


def test_a_message_to_a_working_task_is_heard_before_the_next_step(tmp_path: Path, person: Path) -> None:
    script = [
        calls("bash", command="echo goodbye >> greeting.txt"),
        calls("bash", command="cat greeting.txt"),
        calls("bash", command="cat /workspace/discussion/notes.txt; ! touch /workspace/discussion/x"),
        calls("finish", summary="The line is there."),
    ]
    said: list[int] = []

    def speak() -> None:
        post = service.client.post
        post("/api/discussions", json={"task": "greet", "who": "Pat"})
        said.append(post("/api/discussions/greet/files?name=notes.txt", content=b"whisper, please").status_code)
        asked = {"text": "Rather whisper it", "who": "Pat", "files": ["notes.txt"]}
        said.append(post("/api/discussions/greet/messages", json=asked).status_code)

    with Interrupted(script, 2, speak) as server:
        here = project(tmp_path / "clone", agents=settings(agent(server.url, protocol="native"), review=AUTO))
        add_task(here, stages=["build"])
        hub = bare_hub(here, tmp_path / "hub.git")
        with serving(here, debounce=0.01) as service:
            ran = typed(here, "run")
            assert said == [201, 202], ran
            until(lambda: service.client.get("/api/discussions/greet").json()["count"] == 2, service.log, 60)
    prompts = ["\n".join(message["content"] for message in body["messages"]) for body in server.chats]
    assert ["Rather whisper it" in prompt for prompt in prompts] == [False, False, True, True], "the very next step"
    assert "/workspace/discussion/notes.txt" in prompts[2]
    assert "whisper, please" in prompts[3] and "Read-only file system" in prompts[3]
    files = git(hub, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert not any("notes.txt" in file for file in files)
    history = git(hub, "show", "main:tasks/greet/updates.jsonl")
    assert history.count("Rather whisper it") == 1
