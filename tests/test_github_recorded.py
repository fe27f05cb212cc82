"""The fake GitHub held against real traffic with api.github.com, as PyGithub's source archive carries it.

The archive (LGPL, by PyGithub's contributors) is fetched by pip into a scratch folder when this runs; none of it is
kept.
"""

import contextlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_github import description
from fake_github.office import Office
from test_github_story import play

from runner.forge.github_client import Rejected, _said

LINES = 11
"""Of one exchange: scheme, verb, host, port, path, what was sent (two), status, headers, what came, an empty one."""


class Exchange(NamedTuple):
    """One operation of those that we use, and what api.github.com answered."""

    operation: str
    status: int
    answer: Any


def exchanges(folder: Path) -> Iterator[Exchange]:
    for path in sorted(folder.rglob("ReplayData/*.txt")):
        lines = path.read_text(errors="replace").split("\n")
        for at in (at for at, line in enumerate(lines[: 2 - LINES]) if line in ("http", "https")):
            found = description.operation(lines[at + 1], lines[at + 4].partition("?")[0])
            if found is not None and lines[at + 7].isdecimal():
                with contextlib.suppress(ValueError):  # pages of HTML, and answers that were cut
                    yield Exchange(found.name, int(lines[at + 7]), json.loads(lines[at + 9]))


def shapes(answer: Any) -> list[dict[str, Any]]:
    """The objects of an answer: itself, or those of the list that it is."""
    return [each for each in (answer if isinstance(answer, list) else [answer]) if isinstance(each, dict)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    folder = tmp_path_factory.mktemp("archive")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    done = subprocess.run([*command, "PyGithub==2.10.0"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"PyGithub's source archive cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return list(exchanges(folder))


@pytest.mark.soak
def test_what_the_fake_answers_api_github_com_answers_too(office: Office, recorded: list[Exchange]) -> None:
    play(office, "squash", Stages="design, complete")
    real: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for each in recorded:
        real.setdefault((each.operation, each.status), []).extend(shapes(each.answer))
    compared, wrong = set(), []
    for name, status, answer in office.fake.answers:
        known: dict[str, set[str]] = {}
        for key, value in (pair for shape in real.get((name, status), ()) for pair in shape.items()):
            known.setdefault(key, set()).add(kind(value))
        for key, value in (pair for shape in shapes(answer) if known for pair in shape.items()):
            compared.add((name, key))
            if key in known and kind(value) not in known[key] | {"NoneType"} and known[key] != {"NoneType"}:
                wrong.append((name, key, kind(value), known[key]))
    assert sorted(set(map(str, wrong))) == []
    assert len(compared) >= 100, sorted(compared)


def kind(value: Any) -> str:
    """What a value is, as JSON sees it."""
    return type(value).__name__


@pytest.mark.soak
def test_what_api_github_com_refused_is_understood(recorded: list[Exchange]) -> None:
    refused = [each for each in recorded if 400 <= each.status < 500]
    assert len(refused) >= 15
    for each in refused:
        body = each.answer or {}
        assert set(body) <= {"message", "documentation_url", "errors", "status", "error"}, body
        words = _said(json.dumps(body))
        assert body.get("message", "") in words and str(Rejected(each.status, words)).startswith(str(each.status))
