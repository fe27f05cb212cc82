"""JSON Schemas of task files and `agents.yaml`, so that editors complete keys, explain them and mark mistakes.

They are made from the structs that read the files, and so say the same; what `parse_task` and `parse_settings` check
beyond the types is not in them. A file names its schema in a comment, as
`# yaml-language-server: $schema=.pullwright/schemas/agents.json`.
"""

import json
from typing import Any

import msgspec

from runner.agents import Settings
from runner.task import TaskFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

MEANINGS: dict[str, dict[str, str]] = {
    "TaskFile": {
        "title": "What is wanted, on one line",
        "description": "All else a person would have to know; data for the agent, never an order to the runner",
        "complexity": "1 (a typing error) to 10 (a redesign); decides which agents may take the task",
        "priority": "Higher goes first; among equals the oldest",
        "stages": "Some of design, build, test, review and complete, in this order",
        "depends_on": "Ids of tasks that must be complete first",
        "acceptance": "What must hold in the end, a line each; the test stage answers each with evidence",
        "agent": "This agent of agents.yaml and no other",
        "budget": "Bounds of the whole task",
        "tests_must_fail_before": "Whether the new tests have to fail without the change",
        "parent": "The task of which this is a part; the id must begin with the parent's and a dash",
    },
    "Budget": {
        "steps": "Replies of models",
        "tokens": "Tokens read and written",
        "cost": "US dollars, as the endpoints bill them",
        "minutes": "Minutes of agents' working time",
    },
    "Settings": {
        "version": "The version of this file's form",
        "repository": "A UUID made once by `pullwright init`; all ids derive from it",
        "agents": "Who works; the first that fits takes a task",
        "base": "The branch that tasks come from and end in",
        "forge": "Where proposals live: plain Git, or pull requests on GitHub",
        "setup": "Commands that prepare a fresh checkout for the checks",
        "checks": "Commands that must pass; always read from the base branch",
        "tests": "Which files are tests, in patterns as in .gitignore",
        "policy": "What agents may do without a person",
        "notifications": "Whom to tell of what",
    },
    "Agent": {
        "name": "Lower-case letters, digits and dashes",
        "model": "The model's name as its endpoint knows it",
        "endpoint": "The address of the model's service; of a scripted agent the file of its replies",
        "provider": "How the endpoint speaks: Ollama, anything OpenAI-compatible, or replies from a file",
        "api_key": "The environment variable that holds the key, as env:NAME",
        "min_complexity": "Takes tasks from this complexity",
        "max_complexity": "Takes tasks up to this complexity",
        "concurrency": "How many stages it may hold at a time, on all hosts together",
        "tools": "What it may use",
        "escalation": "Who takes over on evidence, in this order",
        "runs_on": "Labels of the GitHub runner that can reach it",
        "protocol": "How it calls tools; auto looks at the model",
        "routing": "Which of OpenRouter's providers and models may answer",
        "context": "The window in tokens that is asked of Ollama",
        "max_output": "Tokens of one reply",
        "steps": "Replies in one stage",
        "minutes": "Minutes in one stage",
    },
    "Routing": {
        "models": "Models that answer instead when the first cannot, in this order",
        "order": "Providers to try first, in this order",
        "only": "No other providers than these",
        "ignore": "Never these providers",
        "quantizations": "Weights of these kinds only, such as fp8",
        "allow_fallbacks": "Whether providers beside those in order may answer",
        "sort": "What matters most among providers",
        "data_collection": "deny: only providers that keep nothing of what is sent",
        "zdr": "Only endpoints with zero data retention",
        "max_price": "US dollars for a million tokens: prompt and completion",
    },
    "Notifications": {"mail": "The mail server, and whom to write to"},
    "Mail": {
        "server": "The server that takes mail, as smtp.example.com:587",
        "sender": "Whom it comes from",
        "to": "Who is told, and whom agents may write to",
        "events": "Of what",
        "tasks": "Who is told instead, by the id of a task; an empty list: nobody",
        "security": "How the connection is secured; none only for a server on this host",
        "user": "The variable that holds the user's name, as env:NAME",
        "password": "The variable that holds the password, as env:NAME",
        "attach": "Whether the results go with the letter",
    },
    "Policy": {
        "review": "Who merges a stage: a person, or the runner when everything is green",
        "protected": "Paths that no agent's change may touch, in patterns as in .gitignore",
        "lease": "How long a stage may stand without a sign of life before another host takes it over",
        "default_complexity": "Of a task that names none and in which nothing stands out",
        "evaluator": "The agent that is asked how complex a task is that names no complexity",
        "network": "Of agents' commands: none, package installation only, or open",
        "egress": "Tools that reach out which agents may have: web, mail, github, comment",
        "registry": "Host names of the package registry; empty: those pip is configured for",
        "trajectories": "Whether the messages of a run are pushed, so that another host can go on",
        "keep": "For how many days the branches and workspaces of ended tasks stay, as 14d",
        "identities": "Numeric ids of the runners' accounts on GitHub",
        "needs_human": "Paths, as in .gitignore, whose changes the policy alone never merges",
        "reviewers": "Login names on GitHub of those who are asked to review",
        "label": "The label by which somebody with write access makes an issue a task",
        "new_tasks": "What the service writes when it is asked for a task: a file on base, or an issue on GitHub",
        "talk": "Whether agents answer in an issue's thread, which is then its task's discussion",
        "resolve_threads": "Whether threads of a review are resolved once work has answered them",
    },
    "ReviewPolicy": {
        "design": "human or auto; a human looks at the plan before anything is built",
        "build": "human or auto",
        "test": "human or auto",
        "review": "human or auto",
        "complete": "human or auto; counts for whatever goes into base, whichever stage is last",
    },
}
"""Struct → key → what an editor shows of it. Every key of every struct has its line (a test)."""


def files() -> dict[str, str]:
    """File name → text of each schema."""
    return {
        "task.json": _text(TaskFile, "A task of Pullwright"),
        "agents.json": _text(Settings, "agents.yaml of Pullwright"),
    }


def _text(struct: type[msgspec.Struct], title: str) -> str:
    made = msgspec.json.schema(struct)
    parts = {name: _explained(name, part) for name, part in made["$defs"].items()}
    schema = {"$schema": DIALECT, "title": title, "$ref": made["$ref"], "$defs": parts}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _explained(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """The part with what each key means, and without the docstrings, which speak to programmers."""
    plain = {key: value for key, value in part.items() if key not in ("title", "description")}
    if "properties" in plain:
        meanings = MEANINGS[name]
        plain["properties"] = {
            key: {"description": meanings[key], **_bare(value)} for key, value in plain["properties"].items()
        }
    return plain


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "description"}
