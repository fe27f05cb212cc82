"""What the OpenAPI document says, tried by machine: no server error, and no answer that it does not name."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from repositories import add_task, at_home, bare_hub, project
from repositories import settings as agents
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service.running import WRITE, Service, serving

ENDLESS = ["/api/events", "/api/discussions/{id}/events"]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    top = tmp_path_factory.mktemp("schema")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        clone = project(top / "clone", agents=agents())
        add_task(clone)
        bare_hub(clone, top / "hub.git")
        with serving(clone, poll=3600, debounce=0.001) as running:
            yield running


def test_every_answer_is_one_that_the_document_names(service: Service) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/schema/openapi.json")
    tried = []
    for found in schema.exclude(path=ENDLESS).get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
            def answers(case: schemathesis.Case) -> None:
                headers = dict(case.headers or {}) | {"authorization": f"Bearer {WRITE}"}
                case.call_and_validate(base_url=service.url, headers=headers, checks=CHECKS)

            with suppress(Unsatisfiable):  # nothing about it can be wrong
                answers()
        tried.append(operation.label)
    assert len(tried) >= 25
    assert len([line for line in service.log if line["what"] == "request"]) > 60
    assert service.faults() == []
