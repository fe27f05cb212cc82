"""What the documents say is so: commands, options, targets, links, keys, defaults. And what must stand nowhere."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest
import yaml

from pullwright.cli import cli
from runner.agents import Agent, Mail, Notifications, Policy, Settings, parse_settings
from runner.decide import way_out
from runner.task import Budget, TaskFile, parse_task

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = (Agent, Budget, Mail, Notifications, Policy, Settings, TaskFile)
STRUCTS: dict[str, type[msgspec.Struct]] = {kind.__name__: kind for kind in KINDS}
# Put together here, so that this file does not name them itself.
REGISTRIES = ["".join(parts) for parts in (("pypi.", "org"), ("python", "hosted"), ("npmjs", "."), ("yarn", "pkg."))]


class Fence(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


def fences(page: str) -> list[Fence]:
    return [Fence(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def typed(page: str) -> Iterator[str]:
    """What a reader may type: the lines of plain fenced blocks, and code in running text."""
    for fence in fences(page):
        if not fence.language:
            yield from fence.text.splitlines()
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


def invocations(text: str, program: str) -> list[list[str]]:
    """The words after `program` in each line that begins with it; a comment or a second column ends the line."""
    lines = [re.split(r" #|\s{3,}", line.strip().removeprefix("$ "))[0] for line in text.splitlines()]
    pattern = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?{program} (.+)")
    found = [pattern.fullmatch(line.strip()) for line in lines]
    return [re.sub(r"[\[\]|\\]", " ", match[1]).split() for match in found if match]


def said(program: str) -> list[tuple[str, list[str]]]:
    """Page and words of each invocation of `program` in the documents."""
    return [
        (page.name, words)
        for page in PAGES
        for text in typed(page.read_text())
        for words in invocations(text, program)
        if re.match(r"[a-z-]", words[0])
    ]


def leaf(words: list[str]) -> tuple[str, click.Command | None]:
    """The command that the first words name, and its full name; None where there is none."""
    command: click.Command | None = cli
    name = []
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        name.append(word)
        command = command.commands.get(word)
    return " ".join(name), command


def leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def faults(words: list[str]) -> list[str]:
    """What is wrong with an invocation of ours."""
    name, command = leaf(words)
    if command is None:
        return [f"no command {name}"]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return [f"{name} has no option {option}" for option in sorted(given - known - {"--help"})]


def test_the_documents_name_only_commands_and_options_that_exist() -> None:
    wrong = [(page, " ".join(words), fault) for page, words in said("pullwright") for fault in faults(words)]
    assert wrong == []
    assert len(said("pullwright")) > 20


def test_every_command_has_help_and_is_documented() -> None:
    documented = {leaf(words)[0] for _, words in said("pullwright")}
    commands = {name: command for name, command in leaves(cli) if not command.hidden}
    assert [name for name, command in commands.items() if not command.help] == []
    assert sorted(commands.keys() - documented) == []


def blocks(page: str) -> Iterator[str]:
    """Paragraphs, rows of tables, blocks of code: what is read as one."""
    for block in re.split(r"\n\s*\n", page):
        yield from block.splitlines() if block.startswith("|") else [block]


def test_every_option_is_documented_beside_its_command() -> None:
    told = [block for page in PAGES for block in blocks(page.read_text())]
    missing = [
        f"{name} {option}"
        for name, command in leaves(cli)
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and not any(option in block and name.split()[-1] in block for block in told)
    ]
    assert missing == []


def test_nothing_is_promised() -> None:
    """What a page announces stays there when it has come."""
    words = re.compile(r"\b(to come|not yet (built|there|supported)|coming soon)\b", re.IGNORECASE)
    assert [(page.name, found[0]) for page in PAGES if (found := words.search(page.read_text()))] == []


def spoken(source: str) -> Iterator[str]:
    """The texts that a program may print: its string constants without the docstrings."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_every_variable_that_a_person_may_set_is_documented_and_the_others_are_not() -> None:
    files = [path for package in ("runner", "webhook", "pullwright") for path in (ROOT / package).rglob("*.py")]
    read = {name for path in files for name in re.findall(r"PULLWRIGHT_[A-Z_]+", path.read_text())}
    told = {name for page in PAGES for name in re.findall(r"PULLWRIGHT_[A-Z_]+", page.read_text())}
    assert read - {"PULLWRIGHT_RUN", "PULLWRIGHT_GIT_TOKEN"} == told  # those two are said to our own processes


def test_messages_name_only_commands_that_exist() -> None:
    files = [path for package in ("runner", "webhook", "pullwright") for path in (ROOT / package).rglob("*.py")]
    wrong = {
        (str(path.relative_to(ROOT)), match)
        for path in files
        for text in spoken(path.read_text())
        for match in re.findall(r"(?<![\w/-])pullwright ((?:task )?[a-z]+(?:-[a-z]+)*)\b", text)
        if leaf(match.split())[1] is None
    }
    assert sorted(wrong) == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [(page, words[0]) for page, words in said("make") if words[0] not in targets] == []
    assert {words[0] for _, words in said("make")} >= {"demo", "test", "check"}


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
            path, _, fragment = target.partition("#")
            file = (page.parent / path) if path else page
            if not file.exists() or (fragment and fragment not in anchors(file)):
                broken.append((page.name, target))
    assert broken == []


def defaults(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Key → default, as plain values; keys that must be given are `...`."""
    fields = msgspec.structs.fields(kind)
    return {
        field.name: ...
        if field.required
        else msgspec.to_builtins(field.default if field.default is not msgspec.NODEFAULT else field.default_factory())
        for field in fields
    }


def tables() -> dict[str, dict[str, Any]]:
    """The tables of keys in the documents: struct → key → default."""
    found: dict[str, dict[str, Any]] = {}
    for page in PAGES:
        for name, table in re.findall(r"<!-- keys: (\w+) -->\n((?:\|.*\n)+)", page.read_text()):
            rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", table, re.MULTILINE)
            found[name] = {key: yaml.safe_load(default) if default else ... for key, default in rows}
    return found


def plain(value: Any) -> Any:
    """Tuples as lists, and a value that stands for all its defaults as `{}`."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", STRUCTS)
def test_each_key_of_a_file_is_documented_with_its_default(name: str) -> None:
    expected = {key: plain(value) for key, value in defaults(STRUCTS[name]).items()}
    documented = tables()[name]
    assert documented.keys() == expected.keys()
    assert {key: value for key, value in documented.items() if value != {}} == {
        key: value for key, value in expected.items() if documented[key] != {}
    }


def test_the_examples_of_the_two_files_are_valid() -> None:
    task, settings = (
        next(fence.text for fence in fences((ROOT / "docs" / page).read_text()) if fence.language == "yaml")
        for page in ("tasks.md", "agents.md")
    )
    assert parse_task("tasks/fix-login.yaml", task.encode()).request.complexity == 3
    assert [agent.name for agent in parse_settings(settings.encode()).agents] == ["gemma", "sonnet"]


def test_the_task_in_the_readme_is_that_of_the_demo() -> None:
    (shown,) = [fence.text for fence in fences((ROOT / "README.md").read_text()) if fence.language == "yaml"]
    demo = (ROOT / "pullwright/demo/project/tasks/night-shifts.yaml").read_text()
    assert shown == f"# tasks/night-shifts.yaml\n{demo}"


def test_the_ways_out_of_holds_are_those_that_the_runner_names() -> None:
    page = (ROOT / "docs/running.md").read_text().split("## Holds")[1]
    rows = re.findall(r"^\| `([^`…]+?)(?:: …)?` \| (.*)$", page, re.MULTILINE)
    named = {reason: set(re.findall(r"pullwright \w+", rest)) for reason, rest in rows}
    told = {reason: set(re.findall(r"pullwright \w+", way_out("ID", reason))) for reason in named}
    elsewhere = {reason for reason in named if reason.startswith(("waits for", "no agent"))}
    assert {reason for reason in named.keys() - elsewhere if not told[reason] <= named[reason]} == set()
    assert len(named) > 10


def test_the_map_of_the_rooms_names_every_file_of_the_runner() -> None:
    (rooms,) = re.findall(r"^runner/\n(.*?)^webhook/", (ROOT / "docs/design.md").read_text(), re.MULTILINE | re.DOTALL)
    there = {path.name for path in (ROOT / "runner").glob("*.py")} - {"__init__.py"}
    inside = {path.name for path in (ROOT / "runner").glob("*/*.py")}
    assert there <= set(re.findall(r"\w+\.py", rooms)) <= there | inside | {"github.py"}


@pytest.mark.parametrize(("package", "after"), [("pullwright", r"^runner/"), ("webhook", "^```")])
def test_the_map_of_the_rooms_names_every_file_around_the_runner(package: str, after: str) -> None:
    page = (ROOT / "docs/design.md").read_text()
    (rooms,) = re.findall(rf"^{package}/\n(.*?){after}", page, re.MULTILINE | re.DOTALL)
    files = (path for path in (ROOT / package).rglob("*.py") if "demo" not in path.parts)
    assert {path.name for path in files} - {"__init__.py"} == set(re.findall(r"\w+\.py", rooms))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_package_registry_or_a_place_on_this_machine() -> None:
    places = [str(ROOT), *([sys.base_prefix] if sys.base_prefix != "/usr" else [])]
    found = [
        (path.relative_to(ROOT).as_posix(), word)
        for path in tracked()
        for word in (*REGISTRIES, *places)
        if word.encode() in path.read_bytes().lower()
    ]
    assert found == []
