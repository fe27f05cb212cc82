"""OpenAI-compatible wires (docs/models.md, "OpenRouter" and "Clients"), against a scripted server."""

import json
import time
from collections.abc import Iterator

import msgspec
import pytest
from wire import ScriptedOpenAI
from wire.openai import delta, error, events, piece, says, usage
from wire.server import Answer, as_json

from runner.agents import Routing
from runner.errors import UserError
from runner.models import Message, ModelError, Reply, Request, ToolCall, ToolSpec
from runner.models.openai import OpenAI
from runner.models.openai_wire import openrouter_body

KEY = "sk-or-v1-secret"
ASK = Request((Message("user", "Say hello."),))
BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})


def model(server: ScriptedOpenAI, pauses: list[float] | None = None, **more) -> OpenAI:
    more = {"openrouter": True, "api_key": KEY, "key_name": "env:OPENROUTER_API_KEY"} | more
    sleep = (pauses if pauses is not None else []).append
    return OpenAI("qwen/qwen3-32b", server.base, 32768, 2048, sleep=sleep, **more)


def fault(*answers: Answer, request: Request = ASK) -> ModelError:
    with ScriptedOpenAI(answers) as server, pytest.raises(ModelError) as caught:
        model(server).reply(request)
    return caught.value


def test_openrouter_is_told_not_to_drop_parameters_and_not_to_cut_prompts():
    with ScriptedOpenAI([says("hi")]) as server:
        model(server, routing={"max_price": {"prompt": 1}}).reply(Request(ASK.messages, tools=(BASH,)))
    body = server.chats[0]
    assert body["provider"] == {"max_price": {"prompt": 1}, "require_parameters": True}
    assert body["plugins"] == [{"id": "context-compression", "enabled": False}]
    assert body["parallel_tool_calls"] is False
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (2048, 0.1, True)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_routing_of_agents_yaml_goes_out_whole_and_nothing_that_it_leaves_open():
    routing = Routing(models=("a/b",), order=("Together",), zdr=True, max_price={"prompt": 1.5}, sort="price")
    with ScriptedOpenAI([says("hello")]) as server:
        model(server, routing=msgspec.to_builtins(routing)).reply(ASK)
    body = server.chats[0]
    told = {"order": ["Together"], "zdr": True, "max_price": {"prompt": 1.5}, "sort": "price"}
    assert body["provider"] == told | {"require_parameters": True}
    assert body["models"] == ["a/b"]
    assert "models" not in openrouter_body({})


def test_other_servers_are_not_told_what_only_openrouter_knows():
    with ScriptedOpenAI([says("hi")]) as server:
        model(server, openrouter=False).reply(ASK)
    assert not {"provider", "plugins", "parallel_tool_calls"} & set(server.chats[0])


def test_openrouter_is_known_by_its_host():
    assert OpenAI("m", "https://openrouter.ai/api/v1", 1, 1)._is_openrouter
    assert not OpenAI("m", "https://notopenrouter.ai/api/v1", 1, 1)._is_openrouter


def test_a_schema_and_tools_are_never_sent_together():
    with ScriptedOpenAI([says("{}")]) as server:
        model(server).reply(Request(ASK.messages, tools=(BASH,), schema={"type": "object"}))
    body = server.chats[0]
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "tools" not in body


def test_a_reply_is_streamed_counted_and_priced():
    heard: list[str] = []
    with ScriptedOpenAI([says("Hello, world", prompt=31, generated=4, cost=0.0012)]) as server:
        reply = model(server).reply(ASK, heard.append)
    assert reply == Reply("Hello, world", (), "stop", 31, 4, 0.0012, "qwen/qwen3-32b")
    assert heard == ["Hell", "o, w", "orld"]


def test_comments_that_keep_the_connection_open_are_skipped():
    answer = events("OPENROUTER PROCESSING", delta("hi"), "OPENROUTER PROCESSING", delta(finish="stop"), usage())
    with ScriptedOpenAI([answer]) as server:
        assert model(server).reply(ASK).text == "hi"


def test_the_model_that_answered_is_told_when_it_is_another():
    other = {**delta("hi", finish="stop"), "model": "anthropic/claude-haiku"}
    with ScriptedOpenAI([events(other)]) as server:
        assert model(server).reply(ASK).model == "anthropic/claude-haiku"


def test_a_call_is_put_together_from_its_pieces():
    answer = events(
        delta("I look.", **piece(0, name="bash", arguments="")),
        delta(**piece(0, arguments='{"comm')),
        delta(**piece(0, arguments='and": "ls"}')),
        delta(finish="tool_calls"),
        usage(),
    )
    with ScriptedOpenAI([answer]) as server:
        reply = model(server).reply(ASK)
    assert (reply.text, reply.calls, reply.finish) == (
        "I look.",
        (ToolCall("bash", {"command": "ls"}, "call_0"),),
        "stop",
    )


def test_half_a_string_of_arguments_is_no_call():
    answer = events(delta(**piece(0, name="bash", arguments='{"command": "rm -r')), delta(finish="length"), usage())
    with ScriptedOpenAI([answer]) as server:
        reply = model(server).reply(ASK)
    assert (reply.calls, reply.finish) == ((), "length")


def test_calls_without_ids_are_answered_by_ids_all_the_same():
    talk = (
        Message("user", "Look."),
        Message("assistant", "", calls=(ToolCall("bash", {"command": "ls"}),)),
        Message("tool", "a.py", tool="bash"),
    )
    with ScriptedOpenAI([says("ok")]) as server:
        model(server).reply(Request(talk, tools=(BASH,)))
    _, asked, answered = server.chats[0]["messages"]
    assert asked["tool_calls"][0]["function"] == {"name": "bash", "arguments": '{"command": "ls"}'}
    assert answered["tool_call_id"] == asked["tool_calls"][0]["id"] == "call_1"


def test_a_stream_without_a_finish_reason_is_aborted():
    with ScriptedOpenAI([events(delta("Hel"), done=False)]) as server:
        assert model(server).reply(ASK).finish == "aborted"


def test_a_server_that_does_not_stream_is_understood():
    whole = {
        "model": "m",
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3},
    }
    with ScriptedOpenAI([as_json(whole)]) as server:
        reply = model(server).reply(ASK)
    assert (reply.text, reply.finish, reply.prompt_tokens) == ("hi", "stop", 3)


def broken(code: object, message: str = "Provider returned error", **more: object) -> dict:
    return {"code": code, "message": message, **more}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(as_json({"error": broken(502)}), id="inside a 200"),
        pytest.param(
            as_json({"choices": [{"message": {"content": "Hel"}, "finish_reason": "error", "error": broken(502)}]}),
            id="inside choices",
        ),
        pytest.param(events(delta("Hel"), {**delta(finish="error"), "error": broken(502)}), id="in the stream"),
        pytest.param(
            events(delta("Hel"), {**delta(finish="error"), "error": broken("server_error")}), id="with a word"
        ),
        pytest.param(events(delta("Hel"), delta(finish="error")), id="by the finish reason alone"),
        pytest.param(error(502, "Bad gateway"), id="as a status"),
        pytest.param(error(503, "No capacity"), id="as an overload"),
        pytest.param(error(500, "Oops"), id="as a bug of the server"),
        pytest.param(events(delta("Hel"), cut=True, done=False), id="as a cut connection"),
        pytest.param(
            Answer((b"data: {not json\n\n",), headers={"Content-Type": "text/event-stream"}), id="as nonsense"
        ),
        pytest.param(as_json([1, 2]), id="as another kind of answer"),
        pytest.param(events(delta(finish="stop"), usage(100, 0)), id="as nothing at all, on a cold start"),
    ],
)
def test_an_error_is_found_wherever_it_hides_and_asked_again(answer):
    pauses: list[float] = []
    with ScriptedOpenAI([answer, answer, says("hi")]) as server:
        assert model(server, pauses).reply(ASK).text == "hi"
    assert pauses == [1.0, 2.0]


def test_the_client_itself_retries_nothing():
    with ScriptedOpenAI([error(503, "No capacity")] * 9) as server, pytest.raises(ModelError) as caught:
        model(server).reply(ASK)
    assert (caught.value.kind, caught.value.retryable, len(server.chats)) == ("unavailable", True, 4)


def test_a_429_waits_as_long_as_it_is_told():
    pauses: list[float] = []
    with ScriptedOpenAI([error(429, "Rate limited", headers={"Retry-After": "12"}), says("hi")]) as server:
        model(server, pauses).reply(ASK)
    assert pauses == [12.0]


def test_a_wait_until_a_date_is_measured_by_the_servers_own_clock():
    pauses: list[float] = []
    then = {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    answer = error(429, "Rate limited", headers=then)
    with ScriptedOpenAI([answer, says("hi")]) as server:
        model(server, pauses).reply(ASK)
    assert pauses == [30.0]


def test_the_servers_own_advice_on_retrying_is_obeyed():
    never = error(503, "Gone", availability={"retryable": False})
    later = error(404, "No endpoint now", availability={"retryable": True, "retry_after": 3})
    assert (fault(never).kind, fault(never).retryable) == ("refused", False)
    pauses: list[float] = []
    with ScriptedOpenAI([later, says("hi")]) as server:
        model(server, pauses).reply(ASK)
    assert pauses == [3.0]


def test_a_budget_of_requests_in_flight_frees_itself_and_credits_do_not():
    pauses: list[float] = []
    in_flight = error(
        402, "Wait", metadata={"limit_source": "openrouter_in_flight_budget"}, headers={"Retry-After": "2"}
    )
    with ScriptedOpenAI([in_flight, says("hi")]) as server:
        model(server, pauses).reply(ASK)
    assert pauses == [2.0]
    credits = error(402, "Insufficient credits", headers={"Retry-After": "2"})
    assert (fault(credits).kind, fault(credits).retryable) == ("payment", False)


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (error(401, f"No auth credentials found for {KEY}"), "OPENROUTER_API_KEY to a valid key"),
        (error(403, "Blocked by guardrail"), "OPENROUTER_API_KEY"),
        (error(404, "No endpoints found for qwen/qwen3-32b"), "`model`"),
        (error(400, "no", metadata={"error_type": "authentication"}), "OPENROUTER_API_KEY to a valid key"),
        (events(delta("x"), {"error": broken(401, "expired"), "choices": []}), "valid key"),
    ],
)
def test_what_only_a_person_can_mend_names_the_key_and_never_tells_it(answer, remedy):
    with ScriptedOpenAI([answer] * 2) as server, pytest.raises(UserError) as caught:
        model(server).reply(ASK)
    assert remedy in caught.value.remedy
    assert KEY not in str(caught.value)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(402, f"Insufficient credits for {KEY}"),
        error(429, "You exceeded your quota", type="insufficient_quota"),
        as_json({"error": broken(402, "Insufficient credits")}),
        events(delta("x"), {"error": broken(402, "Insufficient credits"), "choices": []}),
    ],
)
def test_credits_that_are_used_up_are_told_with_the_keys_name(answer):
    found = fault(answer)
    assert found.kind == "payment" and not found.retryable
    assert "Add credits, or raise the limit of the key in OPENROUTER_API_KEY." in str(found)
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "This endpoint's maximum context length is 8192 tokens"), "overflow"),
        (error(400, "too long", metadata={"error_type": "context_length_exceeded"}), "overflow"),
        (error(400, "request (351 tokens) exceeds", type="exceed_context_size_error"), "overflow"),
        (error(404, "No endpoints found that support tool use."), "no-tools"),
        (error(400, "failed to parse grammar"), "grammar"),
        (error(400, "Invalid schema for response_format 'action'"), "grammar"),
        (error(500, "error parsing tool call: raw='{'"), "tool-syntax"),
        (error(422, "unprocessable"), "refused"),
        (events(delta("Hel"), delta(finish="content_filter")), "refused"),
    ],
)
def test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried(answer, kind):
    problem = fault(answer, answer)
    assert (problem.kind, problem.retryable) == (kind, False)


def test_an_endpoint_without_the_parameters_asked_for_lowers_the_protocol():
    answer = error(404, "No endpoints found that can handle the requested parameters.")
    assert fault(answer, request=Request(ASK.messages, schema={"type": "object"})).kind == "grammar"
    assert fault(answer, request=Request(ASK.messages, tools=(BASH,))).kind == "no-tools"


def test_a_refused_connection_names_the_endpoint():
    with ScriptedOpenAI() as server:
        speaker = model(server)
    with pytest.raises(ModelError) as caught:
        speaker.reply(ASK)
    assert (caught.value.kind, caught.value.retryable) == ("unavailable", True)
    assert server.base in str(caught.value)


def test_silence_ends_after_the_time_out_and_is_not_repeated():
    with ScriptedOpenAI([says("late")._replace(pause=60)] * 2) as server:
        with pytest.raises(ModelError, match=r"sent nothing for 0\.2 s"):
            model(server, read_seconds=0.2).reply(ASK)
        assert len(server.chats) == 1


def processing() -> Iterator[bytes]:
    """What OpenRouter says while a provider says nothing: for ever, but for the test's own end."""
    for _ in range(600):
        yield b": OPENROUTER PROCESSING\n\n"
        time.sleep(0.1)


def test_a_stream_of_comments_alone_is_silence():
    with ScriptedOpenAI([events()._replace(chunks=processing())] * 2) as server:
        with pytest.raises(ModelError, match=r"sent nothing but comments for 0\.3 s"):
            model(server, read_seconds=0.3).reply(ASK)
        assert len(server.chats) == 1


def hesitating() -> Iterator[bytes]:
    """A piece, and comments until the next one comes."""
    for chunk in [*[delta("a")] * 12, delta("b", finish="stop"), usage()]:
        yield f"data: {json.dumps(chunk)}\n\n".encode()
        time.sleep(0.1)
        yield b": OPENROUTER PROCESSING\n\n"
    yield b"data: [DONE]\n\n"


@pytest.mark.soak
def test_comments_between_pieces_are_no_silence():
    with ScriptedOpenAI([events()._replace(chunks=hesitating())]) as server:
        assert model(server, read_seconds=1.0).reply(ASK).text == "aaaaaaaaaaaab"


def test_an_exception_out_of_on_text_cancels_the_reply():
    def stop(_: str) -> None:
        raise ValueError("stop")

    with ScriptedOpenAI([says("a long story")]) as server, pytest.raises(ValueError, match="stop"):
        model(server).reply(ASK, stop)
    assert len(server.chats) == 1


def test_check_reads_window_and_abilities_from_the_list():
    served = {"id": "qwen/qwen3-32b", "context_length": 16384, "supported_parameters": ["temperature"]}
    with ScriptedOpenAI(models=[served]) as server:
        found = model(server).check()
    assert (found.context, found.tools) == (16384, False)
    assert [asked.path for asked in server.requests] == ["/v1/key", "/v1/models"]


def test_check_believes_a_server_without_a_list():
    with ScriptedOpenAI() as server:
        server._routes = {}
        assert model(server, openrouter=False).check().context == 32768


def test_check_names_the_nearest_model():
    served = [{"id": "qwen/qwen3-30b"}, {"id": "x/y"}]
    with ScriptedOpenAI(models=served) as server, pytest.raises(UserError, match="qwen/qwen3-30b") as caught:
        model(server).check()
    assert "serves no model qwen/qwen3-32b" in caught.value.what


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        (as_json({"data": {"limit_remaining": 0}}), "Add credits"),
        (error(401, "User not found."), "OPENROUTER_API_KEY to a valid key"),
    ],
)
def test_check_knows_a_used_up_key_and_a_wrong_one(key, remedy):
    with ScriptedOpenAI(key=key) as server, pytest.raises(UserError, match=remedy):
        model(server).check()


def test_an_agent_without_a_key_is_told_where_to_put_one():
    with ScriptedOpenAI([error(401, "No cookie auth credentials found")]) as server, pytest.raises(UserError) as caught:
        model(server, api_key="", key_name="").reply(ASK)
    assert "`api_key` of the agent in agents.yaml" in caught.value.remedy


def test_check_without_a_server_names_it():
    with ScriptedOpenAI() as server:
        speaker = model(server)
    with pytest.raises(UserError, match=r"127\.0\.0\.1") as caught:
        speaker.check()
    assert str(caught.value).count("`endpoint` of the agent") == str(caught.value).count(server.base) == 1
