"""The test server's rarer Mistral endpoints, called with Mistral's own SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.providers import ProviderServer

QUESTION = [{"role": "user", "content": "Where does the thread lead?"}]


def test_classifiers(server: ProviderServer, mistral: Any) -> None:
    found = mistral.classifiers.moderate(model="mistral-moderation-latest", inputs=["one"])
    assert found.results[0].categories["violence_and_threats"] is False
    assert server.usage.total == 1
    found = mistral.classifiers.moderate_chat(model="mistral-moderation", inputs=QUESTION)
    assert len(found.results) == 1
    found = mistral.classifiers.classify(model="my-classifier", inputs=["one", "two"])
    assert [set(it) for it in found.results] == [{"tone"}] * 2
    found = mistral.classifiers.classify_chat(model="mine", input=[{"messages": QUESTION}])
    assert found.results[0]["tone"].scores["friendly"] > 0


def test_transcriptions(server: ProviderServer, mistral: Any) -> None:
    sound = {"content": b"RIFF\r\n", "file_name": "a.wav"}
    transcriptions = mistral.audio.transcriptions
    whole = transcriptions.complete(model="voxtral-mini-2507", file=sound)
    assert whole.model == "voxtral-mini-2507"
    assert server.usage.total == whole.usage.total_tokens > 0
    events = list(transcriptions.stream(model="voxtral-mini-2507", file=sound))
    kinds = [one.event for one in events]
    assert kinds[0] == "transcription.language"
    assert kinds[-1] == "transcription.done"
    parts = [one.data.text for one in events if one.event == "transcription.text.delta"]
    assert "".join(parts) == events[-1].data.text == whole.text
    assert server.usage.total == 2 * whole.usage.total_tokens
