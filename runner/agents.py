"""Who the agents are, and the policy: `agents.yaml` → frozen values."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from runner.lifecycle import Stage

Review = Literal["human", "auto"]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model behind an endpoint, the complexity it may take, its limits and its tools.

    `steps` and `minutes` bound one stage; `context` is the window in tokens that is asked of Ollama, `max_output` the
    tokens of one reply. `endpoint` of a `scripted` agent is the file of its replies, relative to the repository.
    """

    name: Slug
    model: Annotated[str, Meta(min_length=1)]
    endpoint: str = "http://localhost:11434"
    provider: Literal["ollama", "openai", "scripted"] = "ollama"
    api_key: Annotated[str, Meta(pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    min_complexity: Annotated[int, Meta(ge=1, le=10)] = 1
    max_complexity: Annotated[int, Meta(ge=1, le=10)] = 10
    concurrency: Annotated[int, Meta(ge=1)] = 1
    tools: tuple[Literal["bash", "files", "python"], ...] = ("bash", "files")
    escalation: tuple[str, ...] = ()
    runs_on: tuple[str, ...] = ("self-hosted", "ollama")
    protocol: Literal["auto", "native", "json"] = "auto"
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


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What agents may do without a person. `registry` names the package hosts; empty: those pip is configured for."""

    review: ReviewPolicy = ReviewPolicy()
    protected: tuple[str, ...] = PROTECTED
    lease: Annotated[str, Meta(pattern=r"^[1-9][0-9]*(s|m|h)$")] = "30m"
    default_complexity: Annotated[int, Meta(ge=1, le=10)] = 3
    network: Literal["none", "registry", "open"] = "none"
    registry: tuple[str, ...] = ()
    trajectories: Literal["remote", "local"] = "remote"
    identities: tuple[int, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole of `agents.yaml`. `repository` is a UUID made by `init`, from which all ids derive."""

    version: Literal[1]
    repository: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
    agents: Annotated[tuple[Agent, ...], Meta(min_length=1)]
    base: str = "main"
    forge: Literal["local", "github"] = "local"
    setup: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    tests: tuple[str, ...] = ("tests/**",)
    policy: Policy = Policy()
    notifications: dict[str, Any] = {}
