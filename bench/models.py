"""How a real, very small model does with each protocol: `python bench/models.py [turns]`.

SmolLM2-135M-Instruct behind a real llama-server on loopback, one thread; the packages that it needs are named in
tests/wire/weights.py. Each task begins with the two seeded turns of the loop; three turns of the model's own follow,
each action answered as if it had done little. *actions* are replies that may be acted upon; *cut* and *other* are those
that teach instead; *repeats* are actions of the same task again. Then ten files are asked for, in a fence and, as a
control, as a string of the JSON. It shows constrained decoding and reading with real weights, nothing about Ollama.
Every reply is kept in build/bench-models.jsonl.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from wire.weights import INSTALLED, llama_server  # noqa: E402

from runner.models import Message, Model, Reply, Request, ToolCall  # noqa: E402
from runner.models.openai import OpenAI  # noqa: E402
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, Read  # noqa: E402
from runner.tools import TOOLS, describe  # noqa: E402

BUILD = tuple(describe(TOOLS[name]) for name in ("bash", "view", "write", "edit", "finish"))
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
OWN_TURNS = 3
SEEDS = (
    Message("assistant", "I look at the project first.", calls=(ToolCall("bash", {"command": "ls"}),)),
    Message("tool", "exit 0\nREADME.md  main.py  tests", tool="bash"),
    Message("assistant", "I read the program.", calls=(ToolCall("view", {"path": "main.py"}),)),
    Message("tool", '1 print("hello")', tool="view"),
)


def main(turns: int) -> None:
    """Measure, keep every reply, print two tables."""
    if not INSTALLED:
        print(f"Not measured: the packages named in {ROOT / 'tests/wire/weights.py'} are not installed.")
        return
    kept = ROOT / "build" / "bench-models.jsonl"
    kept.parent.mkdir(exist_ok=True)
    with llama_server(4096) as address, kept.open("w") as file:
        model = OpenAI("smollm2", f"{address}/v1", 4096, 300)
        print("| protocol | turns | actions | cut | other | repeats | seconds a turn |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name in PROTOCOLS:
            print(row(name, [keep(file, name, turn) for turn in played(model, name, turns)]), flush=True)
        print("\n| body of a file | asked | arrived | compiles |\n| --- | --- | --- | --- |")
        print(bodies("in a fence, asked for in a second step", [fenced(model, path) for path in FILES]))
        print(bodies("inside the JSON, by schema", [inside(model, path) for path in FILES]))


def played(model: Model, name: str, turns: int) -> list[dict[str, Any]]:
    """`turns` turns, a new task after every third."""
    protocol, seen = PROTOCOLS[name], []
    for number in range(turns):
        if number % OWN_TURNS == 0:
            path, wanted = list(FILES.items())[number // OWN_TURNS % len(FILES)]
            messages, calls = (Message("user", f"Write {path}: {wanted}."), *SEEDS), [seed.calls for seed in SEEDS]
        asked = protocol.request(messages, BUILD, max_tokens=300, temperature=0.1, turn=number)
        started = time.monotonic()
        reply = model.reply(asked)
        read: Read = protocol.read(reply, BUILD)
        call = () if isinstance(read, Malformed) else (read.call,)
        turn = {"kind": kind(read), "repeat": bool(call) and call in calls, "text": reply.text}
        seen.append(turn | {"seconds": time.monotonic() - started})
        messages, calls = (*messages, *answered(reply, read)), [*calls, call]
    return seen


def kind(read: Read) -> str:
    """`action`, or what is wrong with the reply."""
    return read.flaw if isinstance(read, Malformed) else "action"


def answered(reply: Reply, read: Read) -> tuple[Message, ...]:
    """What the loop would tell the model next, had the action done little."""
    if isinstance(read, Malformed):
        return (Message("assistant", reply.text[:300]), Message("user", read.message))
    return (Message("assistant", read.thought, calls=(read.call,)), Message("tool", "exit 0", tool=read.call.name))


def keep(file: Any, name: str, turn: dict[str, Any]) -> dict[str, Any]:
    """Write a turn down."""
    file.write(json.dumps({"protocol": name, **turn}) + "\n")
    return turn


def row(name: str, turns: list[dict[str, Any]]) -> str:
    """A line of the first table."""
    kinds = Counter(turn["kind"] for turn in turns)
    other = len(turns) - kinds["action"] - kinds["length"]
    repeats, pace = sum(turn["repeat"] for turn in turns), sum(turn["seconds"] for turn in turns) / len(turns)
    return f"| {name} | {len(turns)} | {kinds['action']} | {kinds['length']} | {other} | {repeats} | {pace:.1f} |"


def fenced(model: Model, path: str) -> str | None:
    """The text of a file as the JSON protocol asks for it."""
    protocol = PROTOCOLS["json"]
    action = {"thought": "I write it.", "tool": "write", "arguments": {"path": path}}
    read: Read = protocol.read(Reply(json.dumps(action)), BUILD)
    messages = (Message("user", f"Write {path}: {FILES[path]}."),)
    while isinstance(read, NeedBody):
        asked = protocol.body_request(messages, BUILD, read, max_tokens=300, temperature=0.1, turn=0)
        read = protocol.read_body(model.reply(asked), read)
    return read.call.arguments["content"] if isinstance(read, Act) else None


def inside(model: Model, path: str) -> str | None:
    """The text of a file as a string under a schema, which the runner never asks for."""
    shape = {"path": {"const": path}, "content": {"type": "string"}}
    schema = {"type": "object", "properties": shape, "required": list(shape), "additionalProperties": False}
    question = f"Write {path}: {FILES[path]}. Reply with JSON: path and content, the complete new text of the file."
    reply = model.reply(Request((Message("user", question),), schema=schema, max_tokens=300))
    try:
        return str(json.loads(reply.text)["content"])
    except (ValueError, KeyError):
        return None


def bodies(carrier: str, texts: list[str | None]) -> str:
    """A line of the second table. What has no function in it is not counted as a file."""
    arrived = [text for text in texts if text and "def " in text]
    return f"| {carrier} | {len(texts)} | {len(arrived)} | {sum(map(compiles, arrived))} |"


def compiles(text: str) -> bool:
    """Whether Python accepts the text."""
    try:
        compile(text, "body", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 36)
