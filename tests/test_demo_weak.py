"""The demo's task with a weak model over HTTP that makes every mistake of the list once: taught, it gets there too.

Between its mistakes it says what the demo's recording says. It claims tool calls and cannot make them.
"""

from itertools import chain
from pathlib import Path

import weak_parts as weak
import yaml
from repositories import git, pullwright
from wire import ScriptedOllama

RECORDED = Path(__file__).parent.parent / "pullwright/demo/replies.yaml"
LINE = "        return minute_of_day(self.end) - minute_of_day(self.start)"
MISTAKES = {
    "design": weak.looking("worklog", "entry.py"),
    "build": weak.changing("worklog/entry.py", LINE),
    "test": weak.running(),
    "review": weak.reading("README.md"),
    "complete": weak.noting(),
}


def test_a_weak_model_that_makes_every_mistake_once_completes_the_demo(tmp_path: Path, person: Path) -> None:
    script = weak.Script(weak.raw('{"name": "view", "arguments": {"path": "."}}'))
    for stage, lines in yaml.safe_load(RECORDED.read_text()).items():
        calls = [[(call["name"], call["arguments"]) for call in line["calls"]] for line in lines]
        script.stage(MISTAKES[stage], weak.replies(list(chain(*calls))))
    with ScriptedOllama(script.answers, models={"llama3.1:8b": ("completion", "tools")}) as server:
        demo = pullwright(tmp_path, "demo", "kept", "--model", "ollama:llama3.1:8b", "--endpoint", server.url)
        chats = server.chats
    assert demo.status == 0, demo.out[-3000:] + demo.err
    assert "night-shifts: complete" in demo.out
    script.was_heard(chats)
    assert "tools" in chats[0] and all("tools" not in body for body in chats[1:]), "native calls were tried once"
    record = yaml.safe_load(git(tmp_path / "kept", "show", "main:tasks/night-shifts/record.yaml"))
    assert {stage: entry["reworks"] for stage, entry in record["stages"].items()} == {
        "design": 0, "build": 0, "test": 1, "review": 0, "complete": 0,
    }  # fmt: skip
