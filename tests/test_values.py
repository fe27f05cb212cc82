"""Tasks, agents and records: what is written is what was meant, and what is read is sound."""

import json
from uuid import UUID, uuid5

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import PLAIN, RECORDS, SETTINGS, STAGE_LISTS, TASK_FILES, TEXT, UPDATES

from runner.agents import Policy, Settings, lease_seconds, parse_settings
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.parsing import yamldoc
from runner.record import (
    Entry,
    Record,
    Request,
    Update,
    dump_record,
    dump_updates,
    parse_record,
    parse_updates,
    update_id,
)
from runner.task import Task, TaskFile, parse_task

ID = "5b1f8a52-3c0e-4d8e-9f57-0c6f4f1d2e3a"
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def survives(value: msgspec.Struct) -> None:
    data = yamldoc.dump(value)
    again = yamldoc.load(data, "x.yaml", type(value))
    assert again == value
    assert yamldoc.dump(again) == data


@quick
@given(TASK_FILES)
def test_a_task_file_survives_being_written_and_read(value: TaskFile) -> None:
    survives(value)


@quick
@given(SETTINGS)
def test_settings_survive_being_written_and_read(value: Settings) -> None:
    survives(value)


@quick
@given(RECORDS)
def test_a_record_survives_being_written_and_read(value: Record) -> None:
    survives(value)
    assert parse_record(dump_record(value)) == value


@quick
@given(PLAIN)
def test_what_is_written_means_the_same_to_any_safe_reader(value: object) -> None:
    data = yamldoc.dump({"value": value})
    assert yaml.safe_load(data) == {"value": value}


@given(TEXT)
def test_text_is_never_tagged_aliased_or_folded(text: str) -> None:
    data = yamldoc.dump({"a": text, "b": [text, text]}).decode()
    assert yaml.safe_load(data) == {"a": text, "b": [text, text]}
    if "\n" not in text:
        assert len(data.rstrip("\n").split("\n")) == 4


def test_a_file_reads_well() -> None:
    value = TaskFile(
        "Größer 🐛: now", "First line\n\n  indented\nlast\n", acceptance=("yes", "a.b"), stages=(Stage.BUILD,)
    )
    assert yamldoc.dump(value).decode() == (
        "title: 'Größer 🐛: now'\n"
        "description: |\n  First line\n\n    indented\n  last\n"
        "stages:\n  - build\n"
        "acceptance:\n  - 'yes'\n  - a.b\n"
    )


def test_half_a_character_is_replaced_since_utf8_cannot_hold_it() -> None:
    assert yamldoc.load(yamldoc.dump(TaskFile("a\ud800b")), "x.yaml", TaskFile).title == "a\ufffdb"
    update = Update(ID, "t", None, "\udcff", "note", "\ud83d")
    assert parse_updates(dump_updates([update])) == (Update(ID, "t", None, "\ufffd", "note", "\ufffd"),)


# --- tasks ---


def test_a_task_has_its_id_from_its_file_and_its_folder_beside_it() -> None:
    task = parse_task("tasks/web/fix-login.yaml", b"title: a\nstages: [build, test]")
    assert task == Task("fix-login", "tasks/web/fix-login.yaml", TaskFile("a", stages=(Stage.BUILD, Stage.TEST)))
    assert task.folder == "tasks/web/fix-login"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "tasks/Fix Login.yaml",
            "`Fix Login` cannot be the id of a task\n  → rename the file to fix-login.yaml: lower",
        ),
        ("tasks/-a.yaml", "`-a` cannot be the id of a task\n  → rename the file to a.yaml"),
        ("tasks/ü.yaml", "`ü` cannot be the id of a task\n  → rename the file to fix-login.yaml"),
        ("tasks/.yaml", "`` cannot be the id of a task"),
        ("tasks/a.b.yaml", "`a.b` cannot be the id of a task\n  → rename the file to a-b.yaml"),
        ("tasks/" + "a" * 64 + ".yaml", "cannot be the id of a task\n  → rename the file to " + "a" * 63 + ".yaml"),
        ("tasks/a\n.yaml", "`a\\u000a` cannot be the id of a task"),
        ("tasks/record.yaml", "the name `record` belongs to the records of tasks"),
        ("tasks/issue-12.yaml", "the name `issue-12` belongs to the issues of a forge"),
    ],
)
def test_a_file_name_that_is_no_id_is_refused_with_a_better_one(path: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_task(path, b"title: a")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("stages: [test, build]", "stages: the stages are out of order (line 2)\n  → write [build, test]"),
        ("stages: [build, build]", "stages: a stage stands twice (line 2)\n  → write [build]"),
        ("depends_on: [a, Api]", "depends_on[1]: `Api` is no id (line 2)\n  → ids are lower-case letters"),
        ('depends_on: ["a\\n"]', "depends_on[0]: `a\\u000a` is no id"),
        ("depends_on: [a, b, a]", "depends_on[2]: `a` stands twice (line 2)"),
        ("depends_on: [x-1]", "depends_on[0]: the task waits for itself (line 2)\n  → remove it"),
        ("parent: x\ndepends_on: [x]", "depends_on[0]: the task waits for its parent, which waits for it (line 3)"),
        ("parent: y", "parent: a subtask of `y` is not named `x-1` (line 2)\n  → name the file y-….yaml"),
        ("parent: x-1", "parent: a subtask of `x-1` is not named `x-1`"),
        ("agent: Big Model", "agent: `Big Model` is no id (line 2)"),
        ("acceptance: ['']", "acceptance[0]: the text is blank (line 2)"),
        (
            "acceptance:\n  - |\n    a\n    b",
            "acceptance[0]: the character U+000A cannot stand in a line of text (line 3)",
        ),
        ('description: "a\\e[31m"', "description: the character U+001B cannot stand in text (line 2)"),
        ('description: "a\\0"', "description: the character U+0000 cannot stand in text (line 2)"),
    ],
)
def test_what_types_do_not_say_is_checked_too(keys: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_task("tasks/x-1.yaml", f"title: a\n{keys}".encode())
    assert f"tasks/x-1.yaml: {message}" in str(error.value)


@pytest.mark.parametrize("title", ['" "', '"a\\nb"', '"a\\u2028b"', '"\\e[2J"', '"\\x85"'])
def test_a_title_is_one_line_of_visible_text(title: str) -> None:
    with pytest.raises(UserError, match=r"tasks/x\.yaml: title: .* \(line 1\)"):
        parse_task("tasks/x.yaml", f"title: {title}".encode())


@given(STAGE_LISTS)
def test_any_part_of_the_stages_in_their_order_will_do(stages: tuple[Stage, ...]) -> None:
    text = f"title: a\nstages: [{', '.join(stages)}]"
    assert parse_task("tasks/x.yaml", text.encode()).request.stages == stages


# --- agents ---

AGENTS = f"""version: 1
repository: {ID}
agents:
  - name: gemma
    model: gemma3:4b
    escalation: [big]
  - name: big
    model: m
    provider: openai
    endpoint: https://models.example/api/v1
"""


def test_settings_are_read() -> None:
    settings = parse_settings(AGENTS.encode())
    assert [agent.name for agent in settings.agents] == ["gemma", "big"]
    assert settings.agents[0].escalation == ("big",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: big", "name: gemma", "agents[1].name: `gemma` stands twice (line 7)\n  → give each agent its own name"),
        (
            "[big]",
            "[bigger]",
            "agents[0].escalation[0]: `gemma` hands over to `bigger`, which is no agent here (line 6)\n  → name big",
        ),
        ("[big]", "[gemma]", "agents[0].escalation[0]: `gemma` hands over to itself (line 6)\n  → name big"),
        (
            "model: m",
            "model: m\n    min_complexity: 5\n    max_complexity: 4",
            "agents[1].min_complexity: 5 is more than max_complexity, 4 (line 9)\n  → swap the two",
        ),
        (
            "https://models.example/api/v1",
            "models.example",
            "agents[1].endpoint: `models.example` is no address (line 10)",
        ),
        ("https://models.example/api/v1", "ftp://models.example", "`ftp://models.example` is no address"),
        ("https://models.example/api/v1", "http://a:99999", "`http://a:99999` is no address"),
        ("https://models.example/api/v1", "http://[a", "`http://[a` is no address"),
        (
            "https://models.example/api/v1",
            "https://k:s@models.example",
            "the address holds more than scheme, host and"
            " path (line 10)\n  → a key goes into `api_key: env:NAME_OF_A_VARIABLE`",
        ),
        ("https://models.example/api/v1", "https://models.example?key=s", "the address holds more than scheme"),
        ("provider: openai", "provider: scripted", "agents[1].endpoint: `https://models.example/api/v1` is no file of"),
        ("name: big", 'name: "big\\n"', "agents[1].name: the character U+000A cannot stand here (line 7)"),
        ("model: m", 'model: "m\\e[31m"', "agents[1].model: the character U+001B cannot stand here (line 8)"),
        ("version: 1", "version: 1\nbase: work/x", "base: `work/x` cannot be the base branch (line 2)"),
        ("version: 1", "version: 1\nbase: --upload-pack=x", "base: `--upload-pack=x` cannot be the base branch"),
        ("version: 1", "version: 1\nbase: a..b", "base: `a..b` cannot be the base branch"),
        ("version: 1", "version: 1\nchecks: ['']", "checks[0]: the command is blank (line 2)"),
        ("version: 1", "version: 1\ntests: ['!a']", "tests[0]: `!a` cannot be used as a pattern of paths (line 2)"),
        ("version: 1", "version: 1\npolicy: {protected: [/]}", "policy.protected[0]: `/` cannot be used as a pattern"),
        ("version: 1", "version: 1\npolicy: {registry: [Host/x]}", "policy.registry[0]: `Host/x` is no host name"),
        ("version: 1", "version: 1\npolicy: {lease: 30}", "policy.lease: `30` is read as a number, not as text"),
        (
            "version: 1",
            "version: 1\npolicy: {lease: 30d}",
            "policy.lease: `30d` cannot stand here (line 2)\n  → give text such as `30m`: a number of s, m or h",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_remedy(old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_settings(AGENTS.replace(old, new).encode())
    assert message in str(error.value)
    assert str(error.value).startswith("agents.yaml: ")


def test_a_check_may_have_several_lines() -> None:
    settings = parse_settings((AGENTS + "checks:\n  - |\n    set -e\n    make check\n").encode())
    assert settings.checks == ("set -e\nmake check\n",)


def test_routing_is_for_agents_of_openrouter() -> None:
    text = AGENTS + "    routing: {order: [Together], max_price: {prompt: 1}}\n"
    assert parse_settings(text.encode()).agents[1].routing.order == ("Together",)
    with pytest.raises(UserError, match=r"routing: `big` is no agent of OpenRouter's"):
        parse_settings(text.replace("provider: openai", "provider: ollama").encode())
    with pytest.raises(UserError, match="max_price"):
        parse_settings(text.replace("prompt: 1", "prompts: 1").encode())


def test_a_scripted_agent_answers_from_a_file_of_the_repository() -> None:
    text = AGENTS.replace("provider: openai", "provider: scripted")
    text = text.replace("https://models.example/api/v1", "demo/replies.yaml")
    assert parse_settings(text.encode()).agents[1].endpoint == "demo/replies.yaml"
    for outside in ("/etc/passwd", "../replies.yaml", "a/../../b"):
        with pytest.raises(UserError, match="is no file of this repository"):
            parse_settings(text.replace("demo/replies.yaml", outside).encode())


@pytest.mark.parametrize(("lease", "seconds"), [("45s", 45), ("30m", 1800), ("2h", 7200)])
def test_a_lease_is_counted_in_seconds(lease: str, seconds: int) -> None:
    assert lease_seconds(Policy(lease=lease)) == seconds


# --- records ---

REQUEST = Request("a", "b", "0", "me", "file", 3, "default", (Stage.DESIGN, Stage.BUILD))
ENTRY = Entry("working", 1, "gemma", "gemma3:4b", ID, "host", "0", "2026-01-01T00:00:00Z")


def test_equal_records_are_equal_bytes_in_the_order_of_the_stages() -> None:
    one = Record(1, REQUEST, {Stage.BUILD: ENTRY, Stage.DESIGN: ENTRY})
    other = Record(1, REQUEST, {Stage.DESIGN: ENTRY, Stage.BUILD: ENTRY})
    assert dump_record(one) == dump_record(other)
    assert dump_record(one).index(b"  design:") < dump_record(one).index(b"  build:")


def test_a_record_with_a_long_history_can_still_be_read() -> None:
    record = Record(1, msgspec.structs.replace(REQUEST, body="x" * 700_000))
    assert parse_record(dump_record(record)) == record
    with pytest.raises(UserError, match="more than 1048576"):
        parse_record(b"x" * 1_100_000)


def test_a_record_that_was_tampered_with_is_refused() -> None:
    text = dump_record(Record(1, REQUEST, {Stage.BUILD: ENTRY})).decode()
    for old, new in [("state: working", "state: won"), ("  build:\n", "  deploy:\n"), ("attempt: 1", "attempt: one")]:
        assert old in text
        with pytest.raises(UserError, match=r"^record.yaml: "):
            parse_record(text.replace(old, new).encode())


@given(st.lists(UPDATES, max_size=5, unique_by=lambda update: update.id))
def test_updates_survive_being_written_and_read(updates: list[Update]) -> None:
    data = dump_updates(updates)
    assert parse_updates(data) == tuple(updates)
    assert data.count(b"\n") == len(updates)
    assert all(json.loads(line) for line in data.split(b"\n")[:-1])


GOOD = dump_updates([Update(ID, "t", "gemma", None, "note", "a")])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD[:-1], "line 1 has no end, it may be cut off"),
        (GOOD[:-9] + b"\n", "line 1 is not an update"),
        (GOOD + b"\n", "line 2 is not an update"),
        (GOOD + b"{}\n", "line 2 is not an update: Object missing required field `id`"),
        (GOOD + GOOD, "line 2 has the id of line 1"),
        (GOOD.replace(b"note", b"joke"), "line 1 is not an update: Invalid enum value 'joke'"),
        (GOOD.replace(b'"a"', b'"\xff"'), "line 1 is not an update"),
        (GOOD.replace(b'{"id"', b'{"more":1,"id"'), "line 1 is not an update: Object contains unknown field `more`"),
        (b"<<<<<<< HEAD\n" + GOOD, "line 1 is not an update"),
    ],
)
def test_a_bad_line_of_the_history_is_an_error_that_names_it(data: bytes, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_updates(data, "tasks/a/updates.jsonl")
    assert error.value.what.startswith(f"tasks/a/updates.jsonl: {message}")
    assert error.value.remedy


def test_an_empty_history_has_no_updates() -> None:
    assert parse_updates(b"") == ()


def test_the_id_of_an_update_follows_from_its_claim_and_number() -> None:
    assert update_id(ID, 7) == str(uuid5(UUID(ID), "7"))
    assert len({update_id(ID, number) for number in range(100)}) == 100
