"""Hypothesis strategies for the values that are read from files: every field, with text as nasty as it comes."""

from typing import Any

from hypothesis import strategies as st

from runner.agents import Agent, Mail, Notifications, Policy, ReviewPolicy, Settings
from runner.lifecycle import STAGES, Stage
from runner.record import Entry, Gate, Hold, PastAttempt, Record, Request, Update
from runner.task import Budget, TaskFile

SPACES = ["", " ", "\n", "\n\n", " a", "a ", "a\n", "\na", " a\n b", "a \nb", "a\n ", "\ta", "a\tb\n", "\r\n", "a\rb"]
READ_AS = ["yes", "no", "on", "null", "~", "1", "1_000", "010", "1e3", "0x1F", "12:30", "2024-05-01", ".inf", "=", "<<"]
SIGNS = [*"#|>{[\\'\"?:-", "- a", "a: b", "a #b", "*a", "&a", "!a", "%a", "@a", "`a", "---", "...", "--- a\n...\n"]
CONTROLS = ["\x00", "\x1b[31m", "\x7f", "\x85", "a\x85b", "\x9f", "\u2028", "a\u2029b\n", "\u202e"]
RARE = [
    "\ufeff",
    "a\ufeff",
    "\xa0",
    "\ufffe",
    "\uffff",
    "🐛",
    "🐛\n🐛",
    "e\u0301",
    "\U0010ffff",
    "a" * 300,
    "word " * 60,
]
NASTY = st.sampled_from([*SPACES, *READ_AS, *SIGNS, *CONTROLS, *RARE])
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = NASTY | st.text(CHARACTERS, max_size=30) | st.lists(NASTY, max_size=4).map("".join)
LINE = st.text(CHARACTERS, min_size=1, max_size=200)
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
WHOLE = st.integers(0, 10**14)
NUMBERS = st.floats(0, 1e12, allow_nan=False) | WHOLE.map(float)
COMPLEXITY = st.integers(1, 10)


def some(items: st.SearchStrategy[Any], most: int = 3, least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    """A tuple of a few."""
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def maybe(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One, or None."""
    return st.none() | items


STAGE_LISTS = st.sets(st.sampled_from(STAGES), min_size=1).map(lambda chosen: tuple(s for s in STAGES if s in chosen))
POSITIVE = st.integers(1, 10**14)

BUDGETS = st.builds(
    Budget, steps=maybe(POSITIVE), tokens=maybe(POSITIVE), cost=maybe(NUMBERS), minutes=maybe(st.floats(1e-6, 1e9))
)
TASK_FILES = st.builds(
    TaskFile,
    title=LINE,
    description=TEXT,
    complexity=maybe(COMPLEXITY),
    priority=st.integers(-(10**14), 10**14),
    stages=some(st.sampled_from(STAGES), 5, 1),
    depends_on=some(TEXT),
    acceptance=some(TEXT),
    agent=maybe(TEXT),
    budget=BUDGETS,
    tests_must_fail_before=st.booleans(),
    parent=maybe(TEXT),
)

AGENTS = st.builds(
    Agent,
    name=SLUGS,
    model=LINE,
    endpoint=TEXT,
    provider=st.sampled_from(["ollama", "openai", "scripted"]),
    api_key=maybe(st.from_regex(r"env:[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)),
    min_complexity=COMPLEXITY,
    max_complexity=COMPLEXITY,
    concurrency=POSITIVE,
    tools=some(st.sampled_from(["bash", "files", "python"])),
    escalation=some(TEXT),
    runs_on=some(TEXT),
    protocol=st.sampled_from(["auto", "native", "json"]),
    context=st.integers(2048, 10**6),
    max_output=st.integers(64, 10**6),
    steps=POSITIVE,
    minutes=st.floats(1e-6, 1e9),
)
REVIEW = st.sampled_from(["human", "auto"])
POLICIES = st.builds(
    Policy,
    review=st.builds(ReviewPolicy, **dict.fromkeys(("design", "build", "test", "review", "complete"), REVIEW)),
    protected=some(TEXT),
    lease=st.from_regex(r"[1-9][0-9]{0,5}[smh]", fullmatch=True),
    default_complexity=COMPLEXITY,
    network=st.sampled_from(["none", "registry", "open"]),
    registry=some(TEXT),
    trajectories=st.sampled_from(["remote", "local"]),
    identities=some(WHOLE),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.floats(-1e12, 1e12) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ADDRESSES = st.sampled_from(["team@example.com", "pat@example.org"])
MAIL = st.builds(
    Mail,
    server=st.sampled_from(["localhost", "smtp.example.com:587"]),
    sender=ADDRESSES,
    to=some(ADDRESSES),
    tasks=st.dictionaries(TEXT, some(ADDRESSES), max_size=2),
    user=maybe(st.just("env:SMTP_USER")),
    password=maybe(st.just("env:SMTP_PASSWORD")),
)
SETTINGS = st.builds(
    Settings,
    version=st.just(1),
    repository=st.uuids().map(str),
    agents=some(AGENTS, 2, 1),
    base=TEXT,
    forge=st.sampled_from(["local", "github"]),
    setup=some(TEXT),
    checks=some(TEXT),
    tests=some(TEXT),
    policy=POLICIES,
    notifications=st.builds(Notifications, mail=maybe(MAIL)),
)

ENTRIES = st.builds(
    Entry,
    state=st.sampled_from(["working", "held", "ready", "done", "closed"]),
    attempt=POSITIVE,
    agent=TEXT,
    model=TEXT,
    claim=st.uuids().map(str),
    host=TEXT,
    base=TEXT,
    started=TEXT,
    gated=maybe(TEXT),
    gates=some(st.builds(Gate, name=TEXT, command=TEXT, exit=maybe(st.integers(0, 255)), seconds=NUMBERS), 2),
    progress=st.integers(0, 100),
    finished=maybe(TEXT),
    steps=WHOLE,
    tokens=WHOLE,
    cost=NUMBERS,
    reworks=WHOLE,
    hold=maybe(st.builds(Hold, reason=TEXT, since=TEXT)),
)
REQUESTS = st.builds(
    Request,
    title=TEXT,
    body=TEXT,
    sha256=TEXT,
    accepted_by=TEXT,
    source=TEXT,
    complexity=WHOLE,
    complexity_reason=TEXT,
    stages=STAGE_LISTS,
    acceptance=some(TEXT),
    depends_on=some(TEXT),
    tests_must_fail_before=st.booleans(),
)
RECORDS = st.builds(
    Record,
    version=st.just(1),
    request=REQUESTS,
    stages=st.dictionaries(st.sampled_from(Stage), ENTRIES, max_size=2),
    attempts=some(st.builds(PastAttempt, stage=st.sampled_from(Stage), entry=ENTRIES), 1),
    result_path=maybe(TEXT),
)
UPDATES = st.builds(
    Update,
    id=st.uuids().map(str),
    timestamp=TEXT,
    agent=maybe(TEXT),
    actor=maybe(TEXT),
    update_type=st.sampled_from(["status_change", "progress_update", "note"]),
    content=TEXT,
)
