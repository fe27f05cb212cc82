"""Ollama's wire (docs/models.md, "Ollama native API"): each row that a client can meet, against a scripted server."""

import json
import subprocess
import sys
import threading

import pytest
from wire import ScriptedOllama
from wire.ollama import chunk, error, last, says, stream
from wire.server import Answer, as_json

from runner.errors import UserError
from runner.models import Abilities, Message, ModelError, Reply, Request, ToolCall, ToolSpec
from runner.models.ollama import Ollama
from runner.models.ollama_pull import pull

ASK = Request((Message("user", "Say hello."),))
BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})


def model(server: ScriptedOllama, pauses: list[float] | None = None, **more) -> Ollama:
    more = {"context": 8192, "max_output": 2048} | more
    return Ollama("gemma3:4b", server.url, sleep=(pauses if pauses is not None else []).append, **more)


def fault(server: ScriptedOllama, request: Request = ASK) -> ModelError:
    with pytest.raises(ModelError) as caught:
        model(server).reply(request)
    return caught.value


def test_every_request_carries_the_options_that_ollama_would_otherwise_choose_badly():
    with ScriptedOllama([says("hi"), says("hi")]) as server:
        speaker = model(server)
        speaker.reply(ASK)
        speaker.reply(Request(ASK.messages, temperature=0.7, max_tokens=9999, stop=("END",)))
    first, second = server.chats
    assert first["options"] == {"num_ctx": 8192, "num_predict": 2048, "temperature": 0.1}
    assert second["options"] == {"num_ctx": 8192, "num_predict": 2048, "temperature": 0.7, "stop": ["END"]}
    for body in server.chats:
        fixed = {key: body[key] for key in ("model", "stream", "think", "truncate", "shift", "keep_alive")}
        assert fixed == {
            "model": "gemma3:4b",
            "stream": True,
            "think": False,
            "truncate": False,
            "shift": False,
            "keep_alive": "30m",
        }


def test_a_reply_is_streamed_piece_by_piece_and_counted():
    heard: list[str] = []
    with ScriptedOllama([says("Hello, world", prompt=31, generated=4)]) as server:
        reply = model(server).reply(ASK, heard.append)
    assert reply == Reply("Hello, world", prompt_tokens=31, completion_tokens=4, model="gemma3:4b")
    assert heard == ["Hell", "o, w", "orld"]


def test_one_connection_serves_many_requests():
    with ScriptedOllama([says("a"), error(503, "busy"), says("b")]) as server:
        speaker = model(server)
        speaker.check()
        speaker.reply(ASK)
        speaker.reply(ASK)
    assert len(server.requests) == 5
    assert len({asked.connection for asked in server.requests}) == 1


def test_a_schema_and_tools_are_never_sent_together():
    with ScriptedOllama([says("{}"), says("x")]) as server:
        model(server).reply(Request(ASK.messages, tools=(BASH,), schema={"type": "object"}))
        model(server).reply(Request(ASK.messages, tools=(BASH,)))
    constrained, native = server.chats
    assert constrained["format"] == {"type": "object"}
    assert "tools" not in constrained
    assert native["tools"][0]["function"]["name"] == "bash"
    assert "format" not in native


def test_calls_and_their_results_go_out_with_objects_names_and_ids():
    call = ToolCall("bash", {"command": "ls"}, "call_7")
    talk = (
        Message("user", "Look."),
        Message("assistant", "I look.", calls=(call,)),
        Message("tool", "a.py", answers="call_7", tool="bash"),
    )
    with ScriptedOllama([says("ok")]) as server:
        model(server).reply(Request(talk, tools=(BASH,)))
    _, asked, answered = server.chats[0]["messages"]
    assert asked["tool_calls"] == [{"id": "call_7", "function": {"name": "bash", "arguments": {"command": "ls"}}}]
    assert answered == {"role": "tool", "content": "a.py", "tool_name": "bash", "tool_call_id": "call_7"}


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([chunk("", ("bash", {"command": "ls"})), last()], id="a chunk of its own"),
        pytest.param([chunk("I look."), last(("bash", {"command": "ls"}))], id="the last chunk"),
        pytest.param([chunk("", ("bash", '{"command": "ls"}')), last()], id="a string of JSON"),
        pytest.param([chunk("", thinking="hm"), chunk("", ("bash", {"command": "ls"})), last()], id="after thinking"),
    ],
)
def test_calls_are_collected_from_any_chunk(lines):
    with ScriptedOllama([stream(*lines)]) as server:
        reply = model(server).reply(ASK)
    assert [(call.name, call.arguments, call.id) for call in reply.calls] == [("bash", {"command": "ls"}, "call_0")]


def test_thinking_is_not_part_of_the_text():
    with ScriptedOllama([stream(chunk("", thinking="I wonder"), chunk("Yes"), last())]) as server:
        assert model(server).reply(ASK).text == "Yes"


def test_half_a_string_of_arguments_is_no_call_and_hides_those_after_it():
    whole, half = ("bash", {"command": "a"}), ("bash", '{"command": "rm -r')
    with ScriptedOllama([stream(chunk("", whole, half, whole), last())]) as server:
        assert len(model(server).reply(ASK).calls) == 1


def test_a_line_end_of_unicode_inside_a_text_does_not_cut_the_line():
    text = "a\u0085b\u2028c"
    line = json.dumps(chunk(text), ensure_ascii=False).encode() + b"\n"
    closing = json.dumps(last()).encode()
    with ScriptedOllama([Answer((line[:20], line[20:] + closing[:9], closing[9:]))]) as server:
        assert model(server).reply(ASK).text == text


def test_a_reply_cut_by_num_predict_says_length():
    with ScriptedOllama([says("and so on", reason="length")]) as server:
        assert model(server).reply(ASK).finish == "length"


def test_a_stream_that_ends_without_done_is_aborted():
    with ScriptedOllama([stream(chunk("na "), chunk("na "))]) as server:
        assert model(server).reply(ASK) == Reply("na na ", finish="aborted", model="gemma3:4b")


def test_an_empty_load_answer_is_no_reply():
    with ScriptedOllama([stream(last(reason="load"))]) as server:
        assert model(server).reply(ASK).finish == "aborted"


def test_a_swallowed_call_is_visible_as_tokens_without_text():
    with ScriptedOllama([stream(last(generated=40))]) as server:
        reply = model(server).reply(ASK)
    assert (reply.text, reply.calls, reply.finish, reply.completion_tokens) == ("", (), "stop", 40)


NESTED = json.dumps(
    {
        "error": {
            "code": 400,
            "message": "request (351 tokens) exceeds the available context size (256 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 351,
            "n_ctx": 256,
        }
    }
)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "registry.ollama.ai/library/gemma3:4b does not support tools", "no-tools"),
        (400, "the prompt is longer than the context length currently available to the model; shorten", "overflow"),
        (400, NESTED, "overflow"),
        (400, "failed to parse grammar", "grammar"),
        (400, '"gemma3:4b" does not support thinking', "refused"),
        (500, "error parsing tool call: raw='{\"a\": ' err=unexpected end", "tool-syntax"),
        (500, "XML syntax error on line 3: element <parameter> closed by </function>", "tool-syntax"),
    ],
)
def test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried(status, text, kind):
    with ScriptedOllama([error(status, text)] * 2) as server:
        problem = fault(server)
    assert (problem.kind, problem.retryable) == (kind, False)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    ("status", "text", "names"),
    [
        (404, "model 'gemma3:4b' not found", "ollama pull gemma3:4b"),
        (404, 'model "gemma3:4b" not found, try pulling it first', "ollama pull gemma3:4b"),
        (404, "404 page not found", "`endpoint` of the agent in agents.yaml"),
        (401, "unauthorized", "ollama signin"),
        (403, "cloud is disabled", "ollama signin"),
        (400, '"gemma3:4b" does not support chat', "agents.yaml"),
        (500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)", "ollama stop"),
        (500, "unable to load model: /root/blobs/sha256-1", "ollama pull gemma3:4b"),
    ],
)
def test_what_only_a_person_can_mend_names_the_remedy(status, text, names):
    with ScriptedOllama([error(status, text)]) as server, pytest.raises(UserError) as caught:
        model(server).reply(ASK)
    assert names in caught.value.remedy
    assert "127.0.0.1" in caught.value.what


@pytest.mark.parametrize("status", [499, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_with_growing_pauses(status):
    pauses: list[float] = []
    with ScriptedOllama([error(status, "server busy, please try again.")] * 2 + [says("hi")]) as server:
        assert model(server, pauses).reply(ASK).text == "hi"
    assert pauses == [1.0, 2.0]


def test_retries_are_bounded():
    pauses: list[float] = []
    with ScriptedOllama([error(503, "server busy")] * 9) as server, pytest.raises(ModelError) as caught:
        model(server, pauses).reply(ASK)
    assert (caught.value.kind, caught.value.retryable, len(server.chats)) == ("unavailable", True, 4)
    assert pauses == [1.0, 2.0, 4.0]


def test_a_429_waits_as_long_as_it_is_told():
    pauses: list[float] = []
    with ScriptedOllama([error(429, "slow down", Retry_After="7"), says("hi")]) as server:
        model(server, pauses).reply(ASK)
    assert pauses == [7.0]


def test_a_wait_that_is_too_long_is_left_to_the_caller():
    with ScriptedOllama([error(429, "weekly limit", Retry_After="3600")]) as server:
        problem = fault(server)
    assert (problem.kind, problem.retryable, problem.retry_after) == ("rate", True, 3600.0)


@pytest.mark.parametrize(
    ("line", "kind"),
    [("model runner has unexpectedly stopped", "unavailable"), ("error parsing tool call: raw='x'", "tool-syntax")],
)
def test_an_error_in_the_middle_of_a_stream_is_an_error(line, kind):
    with ScriptedOllama([stream(chunk("Hel"), {"error": line})] * 4) as server:
        assert fault(server).kind == kind


def test_a_connection_cut_in_the_middle_is_tried_again():
    with ScriptedOllama([stream(chunk("Hel"), cut=True), says("Hello")]) as server:
        assert model(server).reply(ASK).text == "Hello"


@pytest.mark.parametrize("line", [b"<html>gateway</html>\n", b"[]\n", b"\xff\xfe\n", b'{"message": 3}\n', b"[" * 9999])
def test_a_line_that_is_no_reply_is_an_error_of_the_server(line):
    with ScriptedOllama([Answer((line,))] * 4) as server:
        assert fault(server).kind == "unavailable"


def test_a_refused_connection_names_endpoint_and_remedy():
    with ScriptedOllama() as server:
        gone = server.url
    pauses: list[float] = []
    with pytest.raises(ModelError) as caught:
        Ollama("gemma3:4b", gone, 8192, 2048, sleep=pauses.append).reply(ASK)
    assert (caught.value.kind, caught.value.retryable, len(pauses)) == ("unavailable", True, 3)
    assert gone in str(caught.value)
    assert "ollama serve" in str(caught.value)


def test_silence_ends_after_the_time_out_and_is_not_repeated():
    with ScriptedOllama([says("late")._replace(pause=60)] * 2) as server:
        with pytest.raises(ModelError, match=r"sent nothing for 0\.2 s"):
            model(server, read_seconds=0.2).reply(ASK)
        assert len(server.chats) == 1


def test_a_slow_first_byte_within_the_time_out_is_waited_for():
    with ScriptedOllama([says("late")._replace(pause=0.2)]) as server:
        assert model(server, read_seconds=60).reply(ASK).text == "late"


def test_an_exception_out_of_on_text_cancels_the_reply():
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with ScriptedOllama([says("a long story"), says("next")]) as server:
        speaker = model(server)
        with pytest.raises(KeyboardInterrupt):
            speaker.reply(ASK, stop)
        assert speaker.reply(ASK).text == "next"


LONG = Request((Message("user", "x = 1\n" * 6000),))  # 36,000 characters: 9,000 tokens and more


@pytest.mark.parametrize(
    ("counted", "loaded"),
    [
        pytest.param(2050, 4096, id="a smaller window was loaded"),
        pytest.param(4098, None, id="half of the window, from an old server that does not tell"),
        pytest.param(4098, 8192, id="half of the window"),
    ],
)
def test_a_prompt_that_the_server_cut_silently_is_an_overflow(counted, loaded):
    with ScriptedOllama([says("Sure!", prompt=counted)], loaded=loaded) as server:
        problem = fault(server, LONG)
    assert (problem.kind, problem.retryable) == ("overflow", False)


def test_too_small_a_window_is_known_from_the_loaded_one_alone():
    """22,000 characters may be 3,700 tokens or 5,500; of a window of 4,096 alone the count of 3,000 says enough."""
    request = Request((Message("user", "x" * 22000),))
    with ScriptedOllama([says("Sure!", prompt=3000)], loaded=4096) as server:
        assert fault(server, request).kind == "overflow"
    with ScriptedOllama([says("Sure!", prompt=3000)], loaded=8192) as server:
        assert model(server).reply(request).text == "Sure!"


@pytest.mark.parametrize("counted", [0, 300, 8100])
def test_cached_tokens_left_out_of_the_count_are_no_overflow(counted):
    with ScriptedOllama([says("Sure!", prompt=counted)], loaded=8192) as server:
        assert model(server).reply(LONG).text == "Sure!"


def test_a_server_without_a_list_of_loaded_models_loses_no_reply():
    with ScriptedOllama([says("Sure!", prompt=300)]) as server:
        server._routes = {}
        assert model(server).reply(LONG).text == "Sure!"


def test_a_password_in_the_address_is_used_and_never_told():
    with ScriptedOllama([error(401, "unauthorized")]) as server:
        guarded = server.url.replace("http://", "http://ada:secret@")
        with pytest.raises(UserError) as caught:
            Ollama("gemma3:4b", guarded, 8192, 2048).reply(ASK)
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert "secret" not in str(caught.value)
    assert server.url in str(caught.value)


def test_check_finds_window_and_tools():
    able = {"gemma3:4b": ("completion", "tools", "vision")}
    with ScriptedOllama(models=able) as server:
        found = model(server).check()
    assert (found.context, found.tools) == (8192, True)
    with ScriptedOllama() as server:
        assert not model(server).check().tools


def test_no_more_context_is_asked_for_than_the_model_was_trained_with():
    with ScriptedOllama([says("hi")], trained=4096) as server:
        speaker = model(server)
        assert speaker.check().context == 4096
        speaker.reply(ASK)
    assert server.chats[0]["options"]["num_ctx"] == 4096


def test_a_model_is_loaded_with_the_window_of_every_later_request_and_says_nothing():
    with ScriptedOllama([says("hello")], loaded=8192) as server:
        speaker = model(server)
        assert speaker.load() == Abilities(8192, tools=False)
        speaker.reply(ASK)
        first, second = (asked.body for asked in server.requests if asked.path == "/api/chat")
    assert first["messages"] == []
    assert first["options"]["num_ctx"] == second["options"]["num_ctx"] == 8192
    assert [first[key] for key in ("shift", "keep_alive")] == [second[key] for key in ("shift", "keep_alive")]


def test_a_window_smaller_than_asked_for_is_what_prompts_are_kept_to():
    with ScriptedOllama([says("hello", prompt=30)], loaded=2048) as server:
        speaker = model(server)
        found = speaker.load()
        assert found.context == 2048
        assert "window of 2048 tokens instead of 8192" in found.note
        assert speaker.reply(Request((Message("user", "x" * 400),))).text == "hello", "cached tokens left out"


@pytest.mark.parametrize(
    ("memory", "told"),
    [
        ((8_000_000_000, 5_000_000_000), "5.0 of 8.0 GB fit on the graphics card"),
        ((8, 8), ""),
        ((8, 0), ""),
        ((0, 0), ""),
    ],
)
def test_a_model_that_only_partly_fits_into_memory_is_said_to_be_slow(memory, told):
    with ScriptedOllama(loaded=8192, memory=memory) as server:
        note = model(server).load().note
    assert note.startswith(told) and bool(note) == bool(told)


def test_a_server_that_is_busy_while_loading_is_asked_again():
    with ScriptedOllama() as server:
        load, tries = server.answer, []

        def busy_at_first(asked):
            if asked.path == "/api/chat" and len(tries) < 2:
                tries.append(asked)
                return error(503, "server busy, please try again.  maximum pending requests exceeded")
            return load(asked)

        server.answer = busy_at_first
        assert model(server).load().context == 8192
    assert len(tries) == 2


def test_identity_names_weights_and_server():
    with ScriptedOllama(models={"gemma3:4b": (), "other:latest": ()}) as server:
        assert model(server).identity() == "sha256:gemma3:4b@0.33.0"
        assert Ollama("other", server.url, 8192, 2048).identity() == "sha256:other:latest@0.33.0"
        assert Ollama("none", server.url, 8192, 2048).identity() == ""


def test_a_model_without_a_tag_is_found_among_the_loaded():
    cut = ScriptedOllama([says("Sure!", prompt=2050)], models={"gemma3:latest": ()}, loaded=4096)
    with cut as server, pytest.raises(ModelError, match="4096 loaded"):
        Ollama("gemma3", server.url, 8192, 2048).reply(LONG)


def test_check_on_an_absent_model_says_pull():
    with ScriptedOllama(models={}) as server, pytest.raises(UserError, match="ollama pull gemma3:4b"):
        model(server).check()


def test_check_without_a_server_says_serve():
    with ScriptedOllama() as server:
        speaker = model(server)
    with pytest.raises(UserError, match="ollama serve") as caught:
        speaker.check()
    assert server.url in caught.value.what
    assert str(caught.value).count("ollama serve") == str(caught.value).count(server.url) == 1, "each is said once"


def test_check_refuses_a_model_that_only_embeds():
    with ScriptedOllama(models={"gemma3:4b": ("embedding",)}) as server, pytest.raises(UserError, match="cannot chat"):
        model(server).check()


def test_check_on_another_kind_of_server_says_so():
    with ScriptedOllama() as server:
        server._routes = {("GET", "/api/version"): lambda _: as_json([1]), ("POST", "/api/show"): lambda _: as_json({})}
        with pytest.raises(UserError, match="not as Ollama"):
            model(server).check()


@pytest.mark.parametrize("endpoint", ["localhost:11434", "ftp://x"])
def test_an_endpoint_that_is_no_address_is_named(endpoint):
    with pytest.raises(UserError, match=r"`endpoint` of the agent in agents\.yaml"):
        Ollama("gemma3:4b", endpoint, 8192, 2048, sleep=[].append).reply(ASK)


def test_a_pull_tells_its_progress():
    seen: list[tuple[str, int, int]] = []
    lines = [
        {"status": "pulling manifest"},
        {"status": "pulling abc", "digest": "sha256:abc", "total": 10, "completed": 4},
        {"status": "pulling abc", "digest": "sha256:abc", "total": 10, "completed": 10},
        {"status": "success"},
    ]
    with ScriptedOllama(pulls=lines) as server:
        pull("gemma3:4b", server.url, lambda *step: seen.append(step))
    assert seen == [("pulling manifest", 0, 0), ("pulling abc", 4, 10), ("pulling abc", 10, 10), ("success", 0, 0)]


@pytest.mark.parametrize(
    "lines",
    [
        [{"status": "pulling manifest"}, {"error": "pull model manifest: no such file"}],
        [{"status": "pulling manifest"}],
    ],
)
def test_a_pull_that_does_not_end_in_success_failed(lines):
    with ScriptedOllama(pulls=lines) as server, pytest.raises(UserError, match="gemma3:4b"):
        pull("gemma3:4b", server.url)


@pytest.mark.parametrize(
    "module", ["models.ollama", "models.openai", "models.scripted", "protocols", "models.ollama_pull"]
)
def test_importing_a_model_imports_no_client(module):
    code = f"import sys, runner.{module}; print([m for m in ('httpx', 'ollama', 'openai') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_reply_arrives_while_it_is_written():
    """The first piece is heard before the last one is sent."""
    heard, waited = threading.Event(), []

    class Slow(tuple):
        def __iter__(self):
            for item in super().__iter__():
                yield item
                waited.append(heard.wait(60))

    answer = says("12345678")
    with ScriptedOllama([answer._replace(chunks=Slow(answer.chunks))]) as server:
        model(server).reply(ASK, lambda _: heard.set())
    assert len(waited) > 1 and all(waited)
