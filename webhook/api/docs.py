"""What the OpenAPI document says beside what the signatures say: every answer of every route, and examples."""

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from webhook.problems import MEDIA, Problem

WHY = {
    400: "What was sent cannot be read.",
    401: "A token is needed, or this one is not known.",
    403: "This may not be done, whoever asks, or not with this token.",
    404: "There is no such thing.",
    408: "It took too long.",
    409: "Not as things stand.",
    413: "Too large.",
    415: "Another content type is needed.",
    422: "It can be read, and makes no sense.",
    503: "Not ready.",
}

NEW_TASK = [
    Example(
        summary="A task with what the test stage must show",
        value={
            "title": "Login fails for names with a dot",
            "description": "a.b cannot log in since Monday.",
            "complexity": 3,
            "acceptance": ["GET /login answers 200 for a.b"],
        },
    )
]

Specs = dict[int, ResponseSpec]


def _problems(*statuses: int) -> Specs:
    return {
        status: ResponseSpec(Problem, description=WHY[status], media_type=MEDIA, generate_examples=False)
        for status in (401, 403, *statuses)
    }


def reads(shape: type[Any], *statuses: int) -> Specs:
    """The answers of a read."""
    spec = ResponseSpec(shape, description="What there is.", generate_examples=False)
    return {200: spec, **_problems(400, *statuses)}


def writes(*statuses: int) -> Specs:
    """The refusals of a write; 503 where the hub cannot be reached."""
    return _problems(503, *statuses)


def or_there(shape: type[Any], *statuses: int) -> Specs:
    """The answers of a route that makes something, or finds that it is there."""
    made, there = (
        ResponseSpec(shape, description=what, generate_examples=False)
        for what in ("It is made.", "It was there already.")
    )
    return {201: made, 200: there, **_problems(503, *statuses)}


def said(shape: type[Any], *statuses: int) -> Specs:
    """The answers of a route that takes a message once; 200 also where the reply is a stream of events."""
    new, there = (
        ResponseSpec(shape, description=what, generate_examples=False)
        for what in ("It is stored.", "It was there already; or, where events were asked for, they follow.")
    )
    return {202: new, 200: there, **_problems(503, *statuses)}


def example(summary: str, value: dict[str, Any]) -> list[Example]:
    """One example of a body."""
    return [Example(summary=summary, value=value)]


def content(*statuses: int) -> Specs:
    """The answers of a file route."""
    spec = ResponseSpec(bytes, description="The file.", media_type="application/octet-stream", generate_examples=False)
    return {200: spec, **_problems(*statuses)}


def stream(*statuses: int) -> Specs:
    """The answers of an event stream."""
    spec = ResponseSpec(str, description="Events.", media_type="text/event-stream", generate_examples=False)
    return {200: spec, **_problems(*statuses)}


def text() -> Specs:
    """The answers of a page of text."""
    return {
        200: ResponseSpec(str, description="Text.", media_type="text/plain", generate_examples=False),
        **_problems(),
    }


def ready(shape: type[Any]) -> Specs:
    """The answers of `readyz`."""
    spec = ResponseSpec(shape, description=WHY[503], generate_examples=False)
    return {**reads(shape), 503: spec}


class Upload(Operation):
    """A route that reads its body as it comes, which no signature shows."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        self.request_body = RequestBody(content={"application/octet-stream": OpenAPIMediaType(schema=schema)})
