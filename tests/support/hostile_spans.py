"""Spans whose every field tries to run a script, fetch something, or look like something else."""

from clew.store.record import ERROR, Event, Link, Resource, Scope, SpanRecord

SECOND = 10**9
START = 1_780_000_000 * SECOND
OUTSIDE = "http://outside.invalid"
ATTACKS = (
    "<script>window.attacked=1</script>",
    "<img src=x onerror=window.attacked=1>",
    f"<img src={OUTSIDE}/tag.png>",
    "<svg onload=window.attacked=1><a xlink:href='javascript:window.attacked=1'>x</a></svg>",
    f"![image]({OUTSIDE}/markdown.png)",
    "[link](javascript:window.attacked=1)",
    "[link](JaVaScRiPt&colon;window.attacked=1)",
    "[link](data:text/html;base64,PHNjcmlwdD53aW5kb3cuYXR0YWNrZWQ9MTwvc2NyaXB0Pg==)",
    "![svg](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+)",
    f"<style>@import '{OUTSIDE}/style.css'; body {{ display: none }}</style>",
    f"<link rel=stylesheet href={OUTSIDE}/link.css>",
    f"<iframe src={OUTSIDE}/frame></iframe><base href={OUTSIDE}>",
    f"<meta http-equiv=refresh content='0;url={OUTSIDE}/refresh'>",
    f"<form action={OUTSIDE}><button id=main>x</button></form>",
    '"><script>window.attacked=1</script>',
    "' onmouseover='window.attacked=1' x='",
    "`${window.attacked=1}` {{ 7 * 7 }} {% raw %}",
    "</textarea></title></style></pre></code></details><script>window.attacked=1</script>",
    "```\n</code></pre><script>window.attacked=1</script>\n```",
    "[https://example.com/pay](https://ex\u0430mple.com/pay) https://\u0440\u0430ypal.com",
    f"<{OUTSIDE}/auto> {OUTSIDE}/plain [x]: {OUTSIDE}/ref",
    "\u202eevil\u202c \u2066x\u2069 \x1b[31mred\x1b[0m \x00 \x07",
    "half a pair: \ud83d",
    "<!--<script>--><noscript><p title='</noscript><script>window.attacked=1</script>'>",
)
EVERYTHING = "\n\n".join(ATTACKS)
ONE_LINE = " ".join(ATTACKS)


def hostile_session(number=0, session=None, text=EVERYTHING):
    """Return the spans of one turn in which every text is *text*, and every name an attack."""
    name = ATTACKS[number % len(ATTACKS)]
    ids = {"session.id": session or f"{name} {number}", "user.id": f"user {name}"}
    trace = f"hostile {number}".encode().ljust(16, b".")
    start = START + number * 60 * SECOND
    tool = "llm.output_messages.0.message.tool_calls.0.tool_call"
    model = {
        "llm.model_name": name,
        "llm.provider": name,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": text,
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.name": name,
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": text,
        "llm.input_messages.1.message.contents.1.message_content.type": "image",
        "llm.input_messages.1.message.contents.1.message_content.image.image.url": (
            f"{OUTSIDE}/image.png"
        ),
        "llm.input_messages.1.message.contents.2.message_content.type": "image",
        "llm.input_messages.1.message.contents.2.message_content.image.image.url": (
            "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+"
        ),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": text,
        f"{tool}.function.name": name,
        f"{tool}.function.arguments": text,
        "tag.tags": (name, name),
        "metadata": '{"note": "<script>window.attacked=1</script>"}',
        name: text,
    }
    documents = {"input.value": text}
    for index in range(2):
        prefix = f"retrieval.documents.{index}.document"
        documents |= {f"{prefix}.content": text, f"{prefix}.id": name, f"{prefix}.metadata": text}

    def span(kind, since, until, attributes, *, parent=b"root....", message=""):
        error = Event("exception", start + SECOND, {"exception.message": text, name: text})
        return SpanRecord(
            trace_id=trace,
            span_id=b"root...." if parent is None else kind.encode().ljust(8, b".")[:8],
            parent_id=parent,
            name=name,
            start=start + since * SECOND,
            end=start + until * SECOND,
            attributes={**ids, "openinference.span.kind": kind, **attributes},
            status=ERROR if message else 1,
            status_message=message,
            events=(error,) if message else (),
            links=(Link(trace, b"root....", {name: text}),),
            resource=Resource({"service.name": name, name: text}),
            scope=Scope(name, name),
        )

    called = {"tool.name": name, "input.value": text, "output.value": text}
    return [
        span("CHAIN", 0, 20, {"input.value": text, "output.value": text}, parent=None),
        span("AGENT", 1, 12, {"input.value": text, "output.value": text}),
        span("TOOL", 2, 3, called, parent=b"AGENT...", message=text),
        span("RETRIEVER", 4, 5, documents, parent=b"AGENT..."),
        span("LLM", 6, 11, model),
    ]
