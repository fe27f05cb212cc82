"""Who the agents are, and the policy: `agents.yaml` → frozen values."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from runner.lifecycle import Stage
from runner.notify import Event
from runner.parsing import yamldoc
from runner.parsing.characters import shown, unfit
from runner.parsing.explain import Fault, Path

Review = Literal["human", "auto"]
Slug = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="lower-case letters, digits and dashes, 63 at most",
        examples=["gemma"],
    ),
]


class Routing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """OpenRouter's choices among providers, by its own names, and the `models` to fall back to.

    `max_price` is in US dollars for a million tokens, read and written.
    """

    models: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    sort: Literal["price", "throughput", "latency"] | None = None
    data_collection: Literal["allow", "deny"] = "allow"
    zdr: bool = False
    max_price: dict[Literal["prompt", "completion"], Annotated[float, Meta(ge=0)]] = {}


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model behind an endpoint, the complexity it may take, its limits and its tools.

    `steps` and `minutes` bound one stage; `context` is the window in tokens that is asked of Ollama, `max_output` the
    tokens of one reply. `endpoint` of a `scripted` agent is the file of its replies, relative to the repository.
    """

    name: Slug
    model: Annotated[str, Meta(min_length=1)]
    endpoint: str = "http://localhost:11434"
    provider: Literal["ollama", "openai", "scripted"] = "ollama"
    api_key: (
        Annotated[
            str,
            Meta(
                pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$",
                description="`env:` and the name of an environment variable; keys themselves never stand in a file",
                examples=["env:OPENROUTER_API_KEY"],
            ),
        ]
        | None
    ) = None
    min_complexity: Annotated[int, Meta(ge=1, le=10)] = 1
    max_complexity: Annotated[int, Meta(ge=1, le=10)] = 10
    concurrency: Annotated[int, Meta(ge=1)] = 1
    tools: tuple[Literal["bash", "files", "python", "web", "pdf", "mail", "github", "comment"], ...] = ("bash", "files")
    escalation: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = ("self-hosted", "ollama")
    protocol: Literal["auto", "native", "json", "text"] = "auto"
    routing: Routing = Routing()
    context: Annotated[int, Meta(ge=2048)] = 8192
    max_output: Annotated[int, Meta(ge=64)] = 2048
    steps: Annotated[int, Meta(ge=1)] = 50
    minutes: Annotated[float, Meta(gt=0)] = 60.0


class ReviewPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who merges a stage's proposal: a person, or the runner when everything is green."""

    design: Review = "human"
    build: Review = "auto"
    test: Review = "auto"
    review: Review = "auto"
    complete: Review = "human"

    def of(self, stage: Stage) -> Review:
        """The rule for one stage."""
        answer: Review = getattr(self, stage.value)
        return answer


PROTECTED: tuple[str, ...] = (".github/**", "agents.yaml", ".pullwright/**", "CODEOWNERS")

NEEDS_HUMAN: tuple[str, ...] = (
    "AGENTS.md", "CLAUDE.md", "GEMINI.md", ".cursor*", ".claude/**", ".mcp.json", ".husky/**", ".gitmodules", "*.lock",
    "*lock.json", "package.json", "pyproject.toml", "setup.*", "requirements*.txt", "constraints*.txt", "go.mod",
    "go.sum", "Cargo.toml", "Dockerfile", "Makefile",
)  # fmt: skip
"""What the policy alone never merges: what is installed or run elsewhere, and what steers other agents."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What agents may do without a person.

    `default_complexity` is that of a task in which nothing stands out, `evaluator` the agent that is asked for it.
    `egress` allows tools that reach out to agents whose `tools` name them as well. `registry` names the package hosts;
    empty: those pip is configured for. `keep` is for how long the branches and
    workspaces of ended tasks stay. What touches `needs_human` is merged by a person alone. `identities` are the numeric
    ids of the runners' accounts on GitHub, `reviewers` whom to ask for reviews, `label` what makes an issue a task.
    `new_tasks` is what the service writes for a task that it is asked for. `talk`: whether an issue's thread is its
    task's discussion, in which agents answer people with write access. `resolve_threads`: whether threads of a review
    are resolved once work has answered them.
    """

    review: ReviewPolicy = ReviewPolicy()
    protected: tuple[str, ...] = PROTECTED
    lease: Annotated[
        str,
        Meta(pattern=r"^[1-9][0-9]{0,5}(s|m|h)$", description="a number of s, m or h", examples=["30m"]),
    ] = "30m"
    default_complexity: Annotated[int, Meta(ge=1, le=10)] = 3
    evaluator: str | None = None
    network: Literal["none", "registry", "open"] = "none"
    egress: tuple[Literal["web", "mail", "github", "comment"], ...] = ()
    registry: tuple[str, ...] = ()
    trajectories: Literal["remote", "local"] = "remote"
    keep: Annotated[
        str,
        Meta(pattern=r"^(0|[1-9][0-9]{0,3})d$", description="a number of days, as 14d", examples=["14d"]),
    ] = "14d"
    identities: tuple[int, ...] = ()
    needs_human: tuple[str, ...] = NEEDS_HUMAN
    reviewers: tuple[str, ...] = ()
    label: Annotated[str, Meta(min_length=1, max_length=50)] = "pullwright"
    new_tasks: Literal["file", "issue"] = "file"
    talk: bool = True
    resolve_threads: bool = False


Variable = Annotated[
    str,
    Meta(
        pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$",
        description="`env:` and the name of an environment variable; keys themselves never stand in a file",
        examples=["env:SMTP_PASSWORD"],
    ),
]
Address = Annotated[
    str,
    Meta(pattern=r"^[^\s@<>,;:]+@[^\s@<>,;:]+$", description="a mail address", examples=["team@example.com"]),
]


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mail server and whom to write to. `tasks` says by task who is told instead of `to`; nobody: an empty list."""

    server: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
            description="a host, with its port if need be",
            examples=["smtp.example.com:587"],
        ),
    ]
    sender: Address
    to: tuple[Address, ...] = ()
    events: tuple[Event, ...] = ("finished", "needs-review", "needs-input", "held", "failed")
    tasks: dict[str, tuple[Address, ...]] = {}
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Variable | None = None
    password: Variable | None = None
    attach: bool = True


class Notifications(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whom to tell of what."""

    mail: Mail | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole of `agents.yaml`. `repository` is a UUID made by `init`, from which all ids derive."""

    version: Literal[1]
    repository: Annotated[
        str,
        Meta(
            pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
            description="a UUID in lower case, as `pullwright init` makes it",
            examples=["5b1f8a52-3c0e-4d8e-9f57-0c6f4f1d2e3a"],
        ),
    ]
    agents: Annotated[tuple[Agent, ...], Meta(min_length=1)]
    base: str = "main"
    forge: Literal["local", "github"] = "local"
    setup: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    tests: tuple[str, ...] = ("tests/**",)
    policy: Policy = Policy()
    notifications: Notifications = Notifications()


def parse_settings(data: bytes, name: str = "agents.yaml") -> Settings:
    """What the file `name` says. Raises `UserError` with key, line and remedy."""
    settings = yamldoc.load(data, name, Settings)
    yamldoc.refuse(_faults(settings), data, name)
    return settings


def lease_seconds(policy: Policy) -> int:
    """The length of a lease in seconds."""
    return int(policy.lease[:-1]) * {"s": 1, "m": 60, "h": 3600}[policy.lease[-1]]


def keep_seconds(policy: Policy) -> int:
    """For how long what an ended task leaves behind is kept, in seconds."""
    return int(policy.keep[:-1]) * 86400


def _faults(settings: Settings) -> Iterator[Fault]:
    """What the types alone do not say."""
    yield from _lines((), msgspec.to_builtins(settings))
    if not _BRANCH.fullmatch(settings.base) or _NO_BRANCH.search(settings.base):
        yield Fault(("base",), f"`{shown(settings.base)}` cannot be the base branch", "name a branch such as `main`")
    names = [agent.name for agent in settings.agents]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault(("agents", index, "name"), f"`{name}` stands twice", "give each agent its own name")
    for index, agent in enumerate(settings.agents):
        yield from _agent(("agents", index), agent, names)
    if (asked := settings.policy.evaluator) is not None and asked not in names:
        yield Fault(("policy", "evaluator"), f"`{shown(asked)}` is no agent here", f"name {' or '.join(names)}")
    yield from _policy(settings.policy)
    if settings.notifications.mail is not None:
        yield from _mail(settings.notifications.mail)
    yield from _patterns(("tests",), settings.tests)


_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_NO_BRANCH = re.compile(r"^(?:work|agents|refs)/|^HEAD$|\.\.|//|/\.|\.lock(?:/|$)|[./]$")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")


def _lines(path: Path, value: Any) -> Iterator[Fault]:
    """No text here steers a terminal; only commands may have several lines."""
    if isinstance(value, str):
        commands = path[0] in ("setup", "checks")
        if found := unfit(value, "\n\t" if commands else ""):
            yield Fault(path, f"the character {found} cannot stand here", "remove it")
        if commands and not value.strip():
            yield Fault(path, "the command is blank", "remove it, or write the command")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _lines((*path, key), item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _lines((*path, index), item)


def _agent(path: Path, agent: Agent, names: list[str]) -> Iterator[Fault]:
    low, high = agent.min_complexity, agent.max_complexity
    if low > high:
        yield Fault((*path, "min_complexity"), f"{low} is more than max_complexity, {high}", "swap the two")
    for index, other in enumerate(agent.escalation):
        if other == agent.name or other not in names:
            what = "itself" if other == agent.name else f"`{shown(other)}`, which is no agent here"
            others = ", ".join(name for name in names if name != agent.name) or "another agent, once there is one"
            yield Fault((*path, "escalation", index), f"`{agent.name}` hands over to {what}", f"name {others}")
    if agent.routing != Routing() and agent.provider != "openai":
        what = f"`{agent.name}` is no agent of OpenRouter's"
        yield Fault((*path, "routing"), what, "remove it, or set `provider: openai` and its endpoint")
    endpoint = _file(agent.endpoint) if agent.provider == "scripted" else _address(agent.endpoint)
    if endpoint is not None:
        yield Fault((*path, "endpoint"), *endpoint)


def _file(endpoint: str) -> tuple[str, str] | None:
    if endpoint and "://" not in endpoint and not endpoint.startswith("/") and ".." not in endpoint.split("/"):
        return None
    return f"`{shown(endpoint)}` is no file of this repository", "give the replies' path, such as `demo/replies.yaml`"


def _address(endpoint: str) -> tuple[str, str] | None:
    """Keys have their own place: an address is printed, logged and committed."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        return f"`{shown(endpoint)}` is no address", "give one such as http://localhost:11434"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "the address holds more than scheme, host and path", "a key goes into `api_key: env:NAME_OF_A_VARIABLE`"
    return None


def _mail(mail: Mail) -> Iterator[Fault]:
    path: Path = ("notifications", "mail")
    host = mail.server.partition(":")[0]
    if mail.security == "none" and host not in ("localhost", "127.0.0.1"):
        yield Fault((*path, "security"), f"mail to {host} would go in the clear", "say `starttls` or `tls`")
    if (mail.user is None) != (mail.password is None):
        yield Fault(path, "a user without a password, or a password without a user", "name both, or neither")


def _policy(policy: Policy) -> Iterator[Fault]:
    yield from _patterns(("policy", "protected"), policy.protected)
    yield from _patterns(("policy", "needs_human"), policy.needs_human)
    for index, host in enumerate(policy.registry):
        if not _HOST.fullmatch(host):
            what = f"`{shown(host)}` is no host name"
            yield Fault(
                ("policy", "registry", index), what, "give the bare name in lower case, with `:port` if need be"
            )


def _patterns(path: Path, patterns: tuple[str, ...]) -> Iterator[Fault]:
    for index, pattern in enumerate(patterns):
        if not pattern.strip("/") or pattern.startswith("!"):
            what = f"`{shown(pattern)}` cannot be used as a pattern of paths"
            yield Fault(
                (*path, index), what, "write them as in .gitignore, such as `docs/**`; exceptions (`!`) do not exist"
            )
