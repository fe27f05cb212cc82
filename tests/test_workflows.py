"""The workflow, the action and the form: held by GitHub's own schemas, by linters, and by running them under `act`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import repositories
import yaml
from fake_github.office import Office, form
from fake_github.values import Token

from pullwright.github import files
from runner.agents import parse_settings
from runner.people.issues import HEADINGS

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
WORKFLOW = ".github/workflows/agents.yml"
FORM = ".github/ISSUE_TEMPLATE/pullwright.yml"


def ran(*words: str) -> str:
    done = subprocess.run([BIN / words[0], *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / WORKFLOW).read_text().replace("\non:", "\n'on':", 1))
    return found


@pytest.mark.parametrize("path", [WORKFLOW, "action.yml"])
def test_the_auditor_finds_nothing(path: str) -> None:
    ran("zizmor", "--offline", "--quiet", "--no-progress", path)


def test_the_linter_finds_nothing() -> None:
    assert ran("actionlint", WORKFLOW) == ""


@pytest.mark.parametrize(
    ("schema", "path"),
    [("github-workflows", WORKFLOW), ("github-actions", "action.yml"), ("github-issue-forms", FORM)],
)
def test_the_schemas_know_every_key(schema: str, path: str) -> None:
    ran("check-jsonschema", "--builtin-schema", f"vendor.{schema}", path)


def test_a_repository_gets_the_same_files() -> None:
    assert {path: (ROOT / path).read_text() for path in files()} == files()


def test_the_form_has_the_headings_that_are_read_and_sets_no_label() -> None:
    made = yaml.safe_load((ROOT / FORM).read_text())
    assert tuple(field["attributes"]["label"] for field in made["body"]) == HEADINGS
    assert "labels" not in made


# --- what act does not apply, read off the file --------------------------------------------------------------------


def test_it_starts_on_what_people_do() -> None:
    on = workflow()["on"]
    assert on["issues"]["types"] == ["labeled", "unlabeled", "edited", "closed"]
    assert on["issue_comment"]["types"] == ["created"]
    assert on["pull_request_review"]["types"] == ["submitted"]
    assert on["pull_request_target"]["types"] == ["closed", "reopened", "synchronize"]
    assert on["push"] == {"branches-ignore": ["agents/**", "work/**"], "paths": ["tasks/**", "agents.yaml"]}
    assert "pull_request" not in on
    assert on["schedule"] and "workflow_dispatch" in on


def test_a_run_by_hand_can_be_for_one_task(repository: Path) -> None:
    (look,) = [step for step in workflow()["jobs"]["decide"]["steps"] if step.get("id") == "plan"]
    assert look["env"]["TASK"] == "${{ inputs.task }}" and '--task "$TASK"' in look["run"]
    repositories.add_task(repository, "wave")
    planned = json.loads(repositories.typed(repository, "plan", "--json", "--task", "wave").out)
    assert [step["task"] for step in planned["tasks"]] == ["wave"]
    assert [job["task"] for job in planned["matrix"]["include"]] == ["wave"]
    assert repositories.typed(repository, "plan", "--task", "nobody").status == 1


def test_rights_are_given_to_jobs_and_none_may_change_workflows() -> None:
    made = workflow()
    assert made["permissions"] == {}
    for job in made["jobs"].values():
        assert set(job["permissions"]) == {"contents", "issues", "pull-requests", "statuses", "checks"}


def test_runs_for_a_task_queue_up() -> None:
    assert workflow()["jobs"]["work"]["concurrency"] == {
        "group": "pullwright-${{ matrix.task }}",
        "cancel-in-progress": False,
        "queue": "max",
    }


def test_no_expression_stands_in_a_command() -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    steps += yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def test_what_is_not_ours_is_pinned_and_the_default_branch_is_checked_out() -> None:
    uses = [step for job in workflow()["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in uses)
    assert {step["with"]["ref"] for step in uses} == {"${{ github.event.repository.default_branch }}"}
    assert not any(step["with"]["persist-credentials"] for step in uses)


# --- under act -----------------------------------------------------------------------------------------------------


CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
CLONES = """\
name: A fresh clone, as the real action makes one
inputs: {ref: {description: "", default: ""}, persist-credentials: {description: "", default: ""}}
runs:
  using: composite
  steps:
    - shell: bash
      run: git clone -q -b "$REF" "$FAKE_HUB" . && git remote set-url origin "$FAKE_URL"
      env: {REF: "${{ inputs.ref }}"}
"""


DEEDS = {"issues": "labeled", "pull_request_review": "submitted", "pull_request": "closed"}
"""What people do in the tale that starts a run."""


class Runs:
    """Workflow runs of an office's repository, on this machine."""

    def __init__(self, office: Office, home: Path) -> None:
        self.office, self.home = office, home
        actions = office.world.user("github-actions[bot]", "write", id=41898282, type="Bot")
        self.token = "ghs_ajobstoken"
        (home / "checkout").mkdir()
        (home / "checkout/action.yml").write_text(CLONES)
        self.place = repositories.clone(office.world.git_dir, home / "place")
        repositories.git(self.place, "remote", "set-url", "origin", "https://github.com/acme/shop.git")  # for its name
        office.world.tokens[self.token] = Token(actions, app=True)
        self.deeds: list[tuple[str, dict[str, Any]]] = []
        office.world.tell = self._heard

    def start(self, event: str, payload: dict[str, Any]) -> str:
        """One run, to its end; returns its log."""
        file, copy = self.home / "event.json", self.home / "agents.yml"
        file.write_text(json.dumps(payload))
        copy.write_text((ROOT / WORKFLOW).read_text().replace("      queue: max\n", ""))  # younger than act
        fake = self.office.fake
        given = ["--env", f"GITHUB_API_URL={fake.api}", "--env", f"GITHUB_SERVER_URL={fake.url}"]
        given += ["--env", f"FAKE_HUB={self.office.world.git_dir}", "--env", f"FAKE_URL={fake.clone_url}"]
        for name in ("ubuntu-latest", "self-hosted", "ollama"):
            given += ["-P", f"{name}=-self-hosted"]
        given += ["--local-repository", f"{CHECKOUT}={self.home / 'checkout'}"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PULLWRIGHT_"))}
        kept |= {"PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(self.home)}
        command = [BIN / "act", event, "-W", copy, "-e", file, *given, "-s", f"GITHUB_TOKEN={self.token}"]
        done = subprocess.run(
            command, cwd=self.place, capture_output=True, text=True, check=False, timeout=240, env=kept
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.token not in done.stdout
        return done.stdout

    def after_last_event(self) -> str:
        """The run that GitHub would start for what a person did last."""
        event, payload = self.deeds[-1]
        return self.start({"pull_request": "pull_request_target"}.get(event, event), payload)

    def _heard(self, event: str, given: dict[str, Any]) -> None:
        payload = self.office.fake.payload(given)
        if payload["sender"]["type"] == "User" and payload.get("action") == DEEDS.get(event):
            self.deeds.append((event, payload))


@pytest.fixture
def runs(office: Office, tmp_path: Path) -> Runs:
    home = tmp_path / "act"
    (home / ".config/act").mkdir(parents=True)
    return Runs(office, home)


def test_a_task_is_done_by_workflow_runs_alone(runs: Runs) -> None:
    office = runs.office
    issue = office.issue(body=form(Stages="design"))
    office.label(issue.number)
    runs.after_last_event()
    office.review(office.pull().number, "CHANGES_REQUESTED", "Not yet.")
    runs.after_last_event()
    assert len([command for command in office.task().commands if command.verb == "comment"]) == 1
    office.merge(office.pull().number, "squash")
    runs.after_last_event()
    assert (office.task().status, issue.state) == ("complete", "closed")
    assert issue.labels == ["pullwright", "pullwright:done"]


def test_init_gives_a_repository_on_github_its_form_and_workflow(tmp_path: Path, person: Path) -> None:
    repositories.typed(tmp_path, "init", "shop", "--forge", "github")
    assert {path: (tmp_path / "shop" / path).read_text() for path in files()} == files()
    settings = parse_settings((tmp_path / "shop/agents.yaml").read_bytes())
    assert (settings.forge, settings.policy.talk) == ("github", False)
