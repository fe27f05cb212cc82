"""How real, very small models do in the real loop: `make bench-models`, or `python bench/models.py record [MODEL …]`.

Models out of packages (tests/wire/weights.py) on a real llama-server on loopback, one thread, behind Ollama's interface
(native calls without it). Ten tasks are played by the loop itself, with its prompt, its seeded turns and its tools in
the sandbox, in four ways: actions by schema, the same protocol without the schema, fenced text, and native calls. Then
ten files are asked for, in a fence and, as a control, as a string of the JSON. Every trajectory is kept in
bench/recorded/, and the tables of docs/small-models.md are made from those files alone: without `record` nothing is
played, and the tables are made again.
"""

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tool_parts import make_work  # noqa: E402
from wire.weights import GEMMA, SMOLLM2, OllamaOverLlama, Weights, llama_server  # noqa: E402

from runner import prompting  # noqa: E402
from runner.lifecycle import STAGES, Stage  # noqa: E402
from runner.loop.dialogue import Bounds, converse  # noqa: E402
from runner.loop.trajectory import Ended, Entry, Ran, Replied, Started, Told, Trajectory, entries  # noqa: E402
from runner.models import Abilities, Message, Model, Reply, Request, ToolCall  # noqa: E402
from runner.models.ollama import Ollama  # noqa: E402
from runner.models.openai import OpenAI  # noqa: E402
from runner.protocols import PROTOCOLS, Act, NeedBody, Read  # noqa: E402
from runner.record import Request as Task  # noqa: E402
from runner.tools import TOOLS, describe, observation_cap, toolbox  # noqa: E402

RECORDED = ROOT / "bench" / "recorded"
PAGE = ROOT / "docs" / "small-models.md"
MARKS = "<!-- made by make bench-models -->", "<!-- end -->"
WEIGHTS = (SMOLLM2, GEMMA)
CONTEXT, STEPS = 4096, 8
TURNS = {"json": 52, "json-free": 24, "text": 24, "native": 24}
"""At least so many turns a way. What is not held to a schema runs on, and is asked less."""
NAMES = ("bash", "view", "write", "edit", "finish")
FILES = {
    "temp.py": "a function that turns Celsius into Fahrenheit",
    "calc.py": "functions add and subtract",
    "words.py": "a function that counts the words of a text",
    "prime.py": "a function that says whether a number is prime",
    "reverse.py": "a function that reverses a string",
    "factorial.py": "the factorial of a number",
    "largest.py": "the larger of two numbers",
    "vowels.py": "a function that counts the vowels of a text",
    "fibonacci.py": "the n-th Fibonacci number",
    "palindrome.py": "a function that says whether a text is a palindrome",
}
WRITTEN = ("double.py", "def double(number):\n    return 2 * number\n")
THOUGHT = "I write it."
PROJECT = {"README.md": "A small project.\n", "main.py": 'print("hello")\n', "tests/test_main.py": "import main\n"}
WAYS = {
    "json": "`json`, by schema",
    "json-free": "`json`, the schema left out",
    "text": "`text`",
    "native": "`native`",
}
CARRIERS = {"fence": "in a fence, asked for in a second step", "string": "inside the JSON, by schema"}


class Free:
    """A model that is asked without constraint, whatever the protocol wants."""

    def __init__(self, model: Model) -> None:
        self.model, self.name = model, model.name

    def check(self) -> Abilities:
        """What the model itself says."""
        return self.model.check()

    def load(self) -> Abilities:
        """What the model itself says."""
        return self.model.load()

    def identity(self) -> str:
        """What the model itself says."""
        return self.model.identity()

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """The answer to the request without its schema."""
        return self.model.reply(msgspec.structs.replace(request, schema=None), on_text)

    def stop(self) -> None:
        """End the reply that is on its way."""
        self.model.stop()


# --- playing -------------------------------------------------------------------------------------------------------


def record(weights: Weights) -> None:
    """Play every way until it has its turns, and ask for the files; everything that was said is kept."""
    RECORDED.mkdir(exist_ok=True)
    with servers(weights) as (model, native):
        others: dict[str, Model] = {"json-free": Free(model), "native": native}
        for way in ways(weights):
            path = RECORDED / f"{slug(weights)}.{way}.jsonl"
            path.write_bytes(b"")
            for run in played(others.get(way, model), way.partition("-")[0], TURNS[way], weights.output):
                path.write_bytes(path.read_bytes() + run)
            print(weights.name, way, path.stat().st_size, "bytes", flush=True)
        texts = [
            {"carrier": carrier, "path": path, "text": ask(model, path, weights.output)}
            for carrier, ask in (("fence", fenced), ("string", inside))
            for path in FILES
        ]
    lines = "".join(json.dumps(line) + "\n" for line in texts)
    (RECORDED / f"{slug(weights)}.bodies.jsonl").write_text(lines)


@contextmanager
def servers(weights: Weights) -> Iterator[tuple[Model, Model]]:
    """The model behind Ollama's interface, and behind llama-server's own, which takes tools."""
    with (
        llama_server(CONTEXT, weights) as address,
        OllamaOverLlama(address, models={weights.name: ("completion",)}, loaded=CONTEXT) as ollama,
    ):
        yield (
            Ollama(weights.name, ollama.url, CONTEXT, weights.output),
            OpenAI(weights.name, f"{address}/v1", CONTEXT, weights.output),
        )


def ways(weights: Weights) -> tuple[str, ...]:
    """The ways to ask: llama-server takes no tools for a model whose file has no template of its own."""
    return tuple(way for way in WAYS if way != "native" or not weights.template)


def played(model: Model, protocol: str, turns: int, output: int) -> Iterator[bytes]:
    """The trajectories of as many tasks as have so many turns together. A run without any means a dead server."""
    done = number = 0
    while done < turns:
        path, wanted = list(FILES.items())[number % len(FILES)]
        with tempfile.TemporaryDirectory() as place:
            run = one(model, protocol, Path(place), path, f"Write {path}: {wanted}.", output)
        played_now = count(entries(run, path))
        if not played_now:
            raise SystemExit(f"{model.name} does not answer")
        yield run
        done, number = done + played_now, number + 1


def one(model: Model, protocol: str, place: Path, path: str, text: str, output: int) -> bytes:
    """One task in the real loop, with the real tools; its trajectory."""
    work = make_work(place / "work", cap=observation_cap(CONTEXT))
    for name, content in PROJECT.items():
        (place / "work/src" / name).parent.mkdir(exist_ok=True)
        (place / "work/src" / name).write_text(content)
    task = Task(f"Write {path}", text, "0" * 64, "bench", "bench", 1, "bench", STAGES)
    opening = prompting.opening(
        stage=Stage.BUILD,
        template=prompting.packaged(Stage.BUILD),
        request=task,
        folder=f"tasks/{path[:-3]}",
        checks=("python3 -m unittest discover -s tests",),
        context=CONTEXT,
    )
    with Trajectory.open(place / "trajectory.jsonl") as trajectory:
        converse(
            model,
            protocol,
            toolbox(NAMES, work),
            trajectory,
            opening,
            Bounds(steps=STEPS, seconds=None, context=CONTEXT, max_output=output),
            before_step=tuple,
            after_step=lambda tool: None,
            seeds=prompting.seeds({"design.md": "## Files to touch\n- main.py\n"}, task),
        )
    return (place / "trajectory.jsonl").read_bytes()


def fenced(model: Model, path: str, output: int) -> str | None:
    """The text of a file as the runner asks for it, after one that was written."""
    protocol, tools = PROTOCOLS["json"], tuple(describe(TOOLS[name]) for name in NAMES)
    action = {"thought": THOUGHT, "tool": "write", "arguments": {"path": path}}
    read: Read = protocol.read(Reply(json.dumps(action)), tools)
    while isinstance(read, NeedBody):
        asked = protocol.body_request(opened(path), tools, read, max_tokens=output, temperature=0.1, turn=0)
        read = protocol.read_body(model.reply(asked), read)
    return str(read.call.arguments["content"]) if isinstance(read, Act) else None


def opened(path: str) -> tuple[Message, ...]:
    """A conversation in which one file was written and the next is wanted."""
    written = ToolCall("write", {"path": WRITTEN[0], "content": WRITTEN[1]}, "w")
    return (
        Message("system", "You are a careful programmer."),
        Message("user", f"Write {WRITTEN[0]}: a function that doubles a number."),
        Message("assistant", THOUGHT, calls=(written,)),
        Message("tool", f"{WRITTEN[0]} was written.", answers="w", tool="write"),
        Message("user", f"Write {path}: {FILES[path]}."),
    )


def inside(model: Model, path: str, output: int) -> str | None:
    """The text of a file as a string under a schema, after one that was written so; the runner never asks for that."""
    shape = {"path": {"const": path}, "content": {"type": "string"}}
    schema = {"type": "object", "properties": shape, "required": list(shape), "additionalProperties": False}
    question = "Write {}: {}. Reply with JSON: path and content, the complete new text of the file."
    messages = (
        Message("user", question.format(WRITTEN[0], "a function that doubles a number")),
        Message("assistant", json.dumps(dict(zip(shape, WRITTEN, strict=True)))),
        Message("user", question.format(path, FILES[path])),
    )
    reply = model.reply(Request(messages, schema=schema, max_tokens=output))
    try:
        return str(json.loads(reply.text)["content"])
    except (ValueError, KeyError):
        return None


# --- counting ------------------------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """One reply with the bodies it owed: the protocol that asked, what came of it, its tokens, whether it owed one."""

    protocol: str
    came: Ran | Told
    tokens: int
    owed: bool


def turns_of(recorded: Iterable[Entry]) -> Iterator[Turn]:
    """The turns of a trajectory."""
    protocol, said = "", list[Replied]()
    for entry in recorded:
        match entry:
            case Started():
                protocol = entry.protocol
            case Replied():
                said.append(entry)
            case Ran() | Told() if said:
                yield Turn(protocol, entry, sum(heard.reply.completion_tokens for heard in said), said[-1].body)
                said = []


def count(recorded: Iterable[Entry]) -> int:
    """How many turns there are."""
    return sum(1 for _ in turns_of(recorded))


def is_action(turn: Turn) -> bool:
    """Whether the reply was an action: so is one that was refused as a repetition, or whose body never came."""
    return turn.owed or isinstance(turn.came, Ran) or turn.came.rule == "repeat"


def row(weights: Weights, way: str, recorded: list[Entry]) -> str:
    """A line of the first table."""
    turns = list(turns_of(recorded))
    own = [turn for turn in turns if turn.protocol == way.partition("-")[0]]
    valid, repeats = sum(map(is_action, own)), sum(rule(turn) == "repeat" for turn in turns)
    ends = [entry for entry in recorded if isinstance(entry, Ended)]
    tokens = sum(turn.tokens for turn in turns) / len(turns)
    share = f"{valid} of {len(own)} ({valid / len(own):.0%})"
    return (
        f"| {weights.name} | {WAYS[way]} | {len(turns)} | {share} | {repeats} "
        f"| {len(turns) / len(ends):.1f} | {ended(ends)} | {tokens:.0f} |"
    )


def rule(turn: Turn) -> str:
    """Why the model was told something instead of a result; nothing if it was not."""
    return turn.came.rule if isinstance(turn.came, Told) else ""


def ended(ends: list[Ended]) -> str:
    """How the runs ended, the most frequent first."""
    found = Counter(end.outcome.lower() + (f" ({end.detail[-6:].strip(' ;')})" if end.outcome == "Failed" else "")
                    for end in ends)  # fmt: skip
    return ", ".join(f"{number} {name}" for name, number in found.most_common())


def bodies(weights: Weights, carrier: str) -> str:
    """A line of the second table. What has no function in it is not counted as a file."""
    lines = (RECORDED / f"{slug(weights)}.bodies.jsonl").read_text().splitlines()
    texts = [line["text"] for line in map(json.loads, lines) if line["carrier"] == carrier]
    arrived = [text for text in texts if text and "def " in text]
    return f"| {weights.name} | {CARRIERS[carrier]} | {len(texts)} | {len(arrived)} | {sum(map(compiles, arrived))} |"


def compiles(text: str) -> bool:
    """Whether Python accepts the text."""
    try:
        compile(text, "body", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def table() -> str:
    """Both tables, from what was recorded."""
    lines = [
        "| model | asked by | turns | actions of its own turns | repeats caught | turns a run | runs ended | tokens |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row(weights, way, read(weights, way)) for weights in WEIGHTS for way in WAYS if kept(weights, way)),
        "",
        "| model | body of a file | asked | arrived | compiles |",
        "| --- | --- | --- | --- | --- |",
        *(bodies(weights, carrier) for weights in WEIGHTS for carrier in CARRIERS if kept(weights, "bodies")),
    ]
    return "\n".join(lines)


def read(weights: Weights, way: str) -> list[Entry]:
    """What was recorded of one way."""
    path = RECORDED / f"{slug(weights)}.{way}.jsonl"
    return list(entries(path.read_bytes(), path.name))


def kept(weights: Weights, way: str) -> bool:
    """Whether anything was recorded."""
    return (RECORDED / f"{slug(weights)}.{way}.jsonl").exists()


def slug(weights: Weights) -> str:
    """A model's name as a file's."""
    return re.sub(r"[^a-z0-9]+", "-", weights.name.lower()).strip("-")


def into_page(page: str) -> str:
    """The page with the tables of today."""
    head, _, rest = page.partition(MARKS[0])
    return f"{head}{MARKS[0]}\n{table()}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        for present in WEIGHTS:
            if sys.argv[2:] and slug(present) not in sys.argv[2:]:
                continue
            if present.installed:
                record(present)
            else:
                print(f"{present.name} is not measured: {present.package} is not installed")
    if PAGE.exists():
        PAGE.write_text(into_page(PAGE.read_text()))
    print(table())
