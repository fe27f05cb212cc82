"""Reading YAML: what is refused, and that the message says where and how to mend it."""

import time

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import Settings
from runner.errors import UserError
from runner.parsing import yamldoc
from runner.task import TaskFile

UUID = "5b1f8a52-3c0e-4d8e-9f57-0c6f4f1d2e3a"
AGENT = f"version: 1\nrepository: {UUID}\nagents:\n  - name: gemma\n    model: gemma3:4b\n"


def refusal(text: str | bytes, type: type = TaskFile) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UserError) as error:
        yamldoc.load(data, "tasks/x.yaml", type)
    assert error.value.remedy
    assert error.value.what.startswith("tasks/x.yaml: ")
    assert str(error.value).count("\n") == 1
    return f"{error.value.what.removeprefix('tasks/x.yaml: ')} → {error.value.remedy}"


KEYS = (
    "title, description, complexity, priority, stages, depends_on, acceptance, agent, budget, "
    "tests_must_fail_before, parent"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: a\ncomplexity: 11", "complexity: 11 is more than 10 (line 2) → give a whole number from 1 to 10"),
        ("title: a\ncomplexity: 0", "complexity: 0 is less than 1 (line 2) → give a whole number from 1 to 10"),
        ("title: a\ncomplexity: 3.5", "complexity: `3.5` is not a whole number from 1 to 10 (line 2)"),
        ("title: a\ncomplexity: true", "complexity: `true` is not a whole number from 1 to 10 (line 2)"),
        ("title: a\nbudget:\n  minutes: 0", "budget.minutes: 0 is not more than 0 (line 3) → give a number above 0"),
        ("title: a\nbudget: {cost: -1}", "budget.cost: -1 is less than 0 (line 2) → give a number of at least 0"),
        ("title: a\nbudget: 3", "budget: `3` is not a mapping (line 2) → give a mapping"),
        (
            "title: a\n\nbugdet: 1",
            f"bugdet: there is no such key (line 3) → did you mean `budget`? the keys here are {KEYS}",
        ),
        ("title: a\nbudget:\n  step: 1", "budget.step: there is no such key (line 3) → did you mean `steps`?"),
        ("description: a", "the key `title` is missing (line 1) → add `title:`, text of 1 to 200 characters"),
        ("title: ''", "title: the text is empty (line 1) → give text of 1 to 200 characters"),
        ("title: " + "x" * 201, "title: the text has 201 characters, more than 200 (line 1)"),
        ("title:\n", "title: it has no value (line 1) → give text"),
        (
            "title: a\nstages: [design, biuld]",
            "stages[1]: `biuld` is not design, build, test, review or complete (line 2) → did you mean `build`?",
        ),
        ("title: a\nstages: []", "stages: the list is empty (line 2) → give a list, each item design,"),
        ("title: a\nstages: build", "stages: `build` is not a list (line 2) → give a list, each item design,"),
        ("title: a\nacceptance:\n  - a\n  - b: c", "acceptance[1]: this is read as a mapping, not as text (line 4)"),
        ("title: a\ntests_must_fail_before: maybe", "tests_must_fail_before: `maybe` is not true or false (line 2)"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_key_its_line_and_the_remedy(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: yes", 'title: `yes` is read as true or false, not as text (line 1) → put it in quotes: "yes"'),
        (
            "title: a\nagent: off",
            'agent: `off` is read as true or false, not as text (line 2) → put it in quotes: "off"',
        ),
        ("title: 2024", 'title: `2024` is read as a number, not as text (line 1) → put it in quotes: "2024"'),
        ("title: 1.10", 'title: `1.10` is read as a number, not as text (line 1) → put it in quotes: "1.10"'),
        ("title: 2024-05-01", '`2024-05-01` is read as a date (line 1) → put it in quotes: "2024-05-01"'),
        ("title: 1_000", "`1_000` is a number written in a way that is easily misread (line 1) → put it in quotes if"),
        ("title: a\ncomplexity: 010", "`010` is a number written in a way that is easily misread (line 2)"),
        ("title: a\npriority: 0x1F", "`0x1F` is a number written in a way that is easily misread (line 2)"),
        ("title: a\nagent: 12:30", "`12:30` is a number written in a way that is easily misread (line 2)"),
        ("title: a\nbudget: {cost: .inf}", "`.inf` is a number written in a way that is easily misread (line 2)"),
        ("title: a\nbudget: {cost: .nan}", "`.nan` is a number written in a way"),
        ("title: a\npriority: 10000000000000000000", "`10000000000000000000` is a number written in a way"),
        ("title: =", '`=` is read as a sign of its own (line 1) → put it in quotes: "="'),
        ("title: a\nno: b", 'the key `no` is read as a bool, not as text (line 2) → put it in quotes: "no"'),
        ("title: a\n1: b", 'the key `1` is read as a int, not as text (line 2) → put it in quotes: "1"'),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_told_to_be_quoted(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty →"),
        ("# only a comment\n", "the file is empty →"),
        ("- title: a", "this is not a mapping (line 1)"),
        ("a title", "this is not a mapping (line 1)"),
        ("title: a\ncomplexity: 1\ntitle: b", "the key `title` stands twice, first in line 1 (line 3)"),
        ("title: a\nbudget:\n  steps: 1\n  steps: 2", "the key `steps` stands twice, first in line 3 (line 4)"),
        ("title: a\n---\ntitle: b", "a second document begins here (line 2)"),
        ("title: a\n---\n", "a second document begins here (line 2)"),
        ("title: !!python/object/apply:os.system [id]", "the tag `tag:yaml.org,2002:python/object/apply:os.system`"),
        ("!!python/dict {title: a}", "the tag `tag:yaml.org,2002:python/dict` is not read here (line 1)"),
        ("title: !!binary aGk=", "the tag `tag:yaml.org,2002:binary` is not read here (line 1)"),
        ("title: !secret a", "the tag `!secret` is not read here (line 1)"),
        ("title: !!int a", "the tag `tag:yaml.org,2002:int` is not read here"),
        ("title: a\nstages: !!set {build}", "the tag `tag:yaml.org,2002:set` is not read here (line 2)"),
        ("a: &a {title: b}\n<<: *a", "merge keys (`<<`) are not read (line 2)"),
        ("title: a\nagent: *nobody", "the alias *nobody has no anchor before it (line 2)"),
        ("title: &a [*a]", "the alias *a has no anchor before it (line 1)"),
        ("? [a]\n: b", "a key here is not plain text (line 1)"),
        ("title: &k a\n*k : b", "a key here is not plain text (line 2)"),
        ("title: a: b", "this is not YAML: mapping values are not allowed in this context (line 1) → look at"),
        ("title: a\n\tagent: b", "this is not YAML: found a tab character that violates indentation (line 2)"),
        ("title: 'a\n", "this is not YAML: found unexpected end of stream (line 2)"),
        ("title: a\ndescription: \x1b[31m", "the character U+001B cannot stand in YAML (line 2) → remove it"),
        ("title: \0", "the character U+0000 cannot stand in YAML (line 1)"),
        ('title: "\\ud800"', "this is not YAML: found invalid Unicode character escape code (line 1)"),
        (b"title: a\nagent: \xff", "this is not UTF-8 (line 2) → save the file in the encoding UTF-8"),
        ("title: a".encode("utf-16"), "this is not UTF-8 (line 1)"),
    ],
)
def test_what_is_not_one_plain_mapping_is_refused_with_the_line(text: str | bytes, message: str) -> None:
    assert refusal(text).startswith(message)


def test_more_than_the_cap_is_refused_unread() -> None:
    began = time.process_time()
    assert refusal(b"x" * 10_000_000) == (
        "the file has 10000000 bytes, more than 262144 → "
        "shorten it; long material belongs into files of its own that it names"
    )
    assert time.process_time() - began < 0.5


def laughs(levels: int, width: int) -> str:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(9, 9), "the file holds more than 20000 values"),
        (laughs(40, 3), "the file holds more than 20000 values"),
        ("title: &t a\nacceptance: [" + "*t, " * 101 + "]", "the file holds more than 100 aliases (line 2)"),
        ("title: a\nacceptance: [" + "a," * 25_000 + "]", "the file holds more than 20000 values (line 2)"),
        ("title: " + "[" * 250_000, "this is nested more than 20 deep (line 1)"),
        ("title: " + "{a: " * 60_000, "this is nested more than 20 deep (line 1)"),
        ("- " * 100_000, "this is not a mapping (line 1)"),
        ("title:\n" + "".join(" " * n + "a:\n" for n in range(1, 600)), "this is nested more than 20 deep"),
        ("? " * 100_000, "a key here is not plain text"),
        ("title: " + "&a " * 80_000, "this is not YAML"),
        ('title: "' + "\\n" * 100_000, "this is not YAML"),
        ("%TAG ! a\n" * 20_000, "this is not YAML"),
    ],
)
def test_a_file_made_to_explode_is_refused_at_once(text: str, message: str) -> None:
    began = time.process_time()
    assert refusal(text).startswith(message)
    assert time.process_time() - began < 10  # seconds, where counting on would take hours


def test_a_few_aliases_are_read() -> None:
    task = yamldoc.load(b"title: &t a.b\nacceptance: [*t, *t]", "tasks/x.yaml", TaskFile)
    assert task.acceptance == ("a.b", "a.b")


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    data = "\ufefftitle: a\r\ndescription: |\r\n  b\r\n  c\r\n".encode()
    assert yamldoc.load(data, "tasks/x.yaml", TaskFile) == TaskFile("a", "b\nc\n")


def test_a_fault_deep_in_the_settings_is_located() -> None:
    broken = AGENT + "  - name: Big\n    model: x\n"
    assert refusal(broken, Settings) == (
        "agents[1].name: `Big` cannot stand here (line 6) → "
        "give text such as `gemma`: lower-case letters, digits and dashes, 63 at most"
    )
    assert refusal(AGENT + "    api_key: sk-123\n", Settings).endswith(
        "give text such as `env:OPENROUTER_API_KEY`: "
        "`env:` and the name of an environment variable; keys themselves never stand in a file"
    )
    assert refusal(AGENT + "    provider: olama\n", Settings) == (
        "agents[0].provider: `olama` is not ollama, openai or scripted (line 6) → "
        "did you mean `ollama`? give ollama, openai or scripted"
    )
    assert refusal(AGENT.replace("version: 1", "version: 2"), Settings).startswith("version: `2` is not 1 (line 1)")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_the_bytes_there_is_a_value_or_a_message(data: bytes) -> None:
    try:
        yamldoc.load(data, "tasks/x.yaml", TaskFile)
    except UserError as error:
        assert error.remedy
        assert "\x1b" not in str(error)


MARKS = [
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!!int ",
    "'",
    '"',
    "|",
    ">",
    "#",
    "---",
    "? ",
    "<<",
    "\\",
    "%",
    ":",
]
WORDS = ["title", " ", "\n", "  ", "a", "yes", "1", "budget", "steps", "stages", "build", "~", "é", "🐛", "\t", "0x1"]
SNIPPETS = st.sampled_from([*MARKS, *WORDS])


@given(st.lists(SNIPPETS, max_size=40).map("".join))
def test_whatever_the_yaml_there_is_a_value_or_a_message(text: str) -> None:
    try:
        yamldoc.load(text.encode(), "tasks/x.yaml", TaskFile)
    except UserError as error:
        assert error.remedy


def test_a_name_cannot_steer_the_terminal_through_a_message() -> None:
    assert "\x1b" not in refusal('title: a\n"\\e[31m": b')
    assert "\x1b" not in refusal('title: a\nstages: ["\\e[31m"]')


def test_the_same_files_are_read_as_by_anyone_else() -> None:
    """What is not refused means what PyYAML's safe loader says it means."""
    text = "title: a b\ndescription: |\n  é 🐛\n\n  c\npriority: -3\nbudget: {cost: 1.5, steps: 7}\nstages: [build]\n"
    ours = yamldoc.load(text.encode(), "tasks/x.yaml", TaskFile)
    assert ours == msgspec.convert(yaml.safe_load(text), TaskFile)
