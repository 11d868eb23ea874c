"""Scenarios for the frameworks, in the form of those in `scenarios`."""

import asyncio
import json
from importlib import import_module

import scenarios

WHY = [{"role": "user", "content": "Why?"}]


def langchain_models():
    ChatOpenAI = import_module("langchain_openai").ChatOpenAI  # noqa: N806 - a class
    model = ChatOpenAI(
        model="gpt-4o", api_key="none", base_url=f"{scenarios.URL}/v1", max_retries=0
    )

    async def later():
        answer = await model.ainvoke("Why?")
        return answer.text, [chunk.text async for chunk in model.astream("Why?")]

    def calls():
        answer, batch = model.invoke("Why?"), model.batch(["Why?", "Where?"])
        stream = [chunk.text for chunk in model.stream("Why?")]
        return [answer.text, [it.text for it in batch], stream, asyncio.run(later())]

    return calls


def llama_index():
    core = import_module("llama_index.core")
    llms = import_module("llama_index.llms.openai")
    message = core.llms.ChatMessage(role="user", content="Why?")
    there = {"api_base": f"{scenarios.URL}/v1", "api_key": "none", "max_retries": 0}
    model = llms.OpenAI(model="gpt-4o", **there)
    embedder = import_module("llama_index.embeddings.openai").OpenAIEmbedding(**there)
    documents = [core.Document(text="The thread leads out.")]
    index = core.VectorStoreIndex.from_documents(documents, embed_model=embedder)

    async def later():
        answer = await model.achat([message])
        stream = await model.astream_chat([message])
        return answer.message.content, [chunk.delta async for chunk in stream]

    def calls():
        engine = index.as_chat_engine("context", llm=model)
        return [
            model.chat([message]).message.content,
            model.complete("Why?").text,
            [chunk.delta for chunk in model.stream_chat([message])],
            str(engine.chat("Why?")),
            list(engine.stream_chat("And then?").response_gen),
            asyncio.run(later()),
        ]

    return calls


TALK = [{"role": "user", "content": [{"text": "Why?"}]}]
NOVA = {"modelId": "amazon.nova-lite-v1:0", "messages": TALK}
SAID = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": WHY}
CLAUDE = {"modelId": "anthropic.claude-3-5-haiku-20241022-v1:0", "body": json.dumps(SAID)}
TITAN = {"modelId": "amazon.titan-embed-text-v2:0", "body": json.dumps({"inputText": "Why?"})}


def runtime(module):
    return (
        import_module(module)
        .Session()
        .client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=scenarios.URL,
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
    )


def bedrock():
    client = runtime("boto3")

    def calls():
        whole = json.load(client.invoke_model(**CLAUDE)["body"])
        events = client.invoke_model_with_response_stream(**CLAUDE)["body"]
        return [
            client.converse(**NOVA)["output"]["message"]["content"],
            [sorted(event) for event in client.converse_stream(**NOVA)["stream"]],
            whole["content"],
            [json.loads(event["chunk"]["bytes"])["type"] for event in events],
            json.load(client.invoke_model(**TITAN)["body"])["embedding"],
        ]

    return calls


def bedrock_async():
    async def ask():
        async with runtime("aioboto3") as client:
            answer = await client.converse(**NOVA)
            talk = (await client.converse_stream(**NOVA))["stream"]
            whole = (await client.invoke_model(**CLAUDE))["body"]
            events = (await client.invoke_model_with_response_stream(**CLAUDE))["body"]
            return [
                answer["output"]["message"]["content"],
                [sorted(event) async for event in talk],
                json.loads(await whole.read())["content"],
                [json.loads(event["chunk"]["bytes"])["type"] async for event in events],
            ]

    return lambda: asyncio.run(ask())


def mistral():
    client = import_module("mistralai.client").Mistral(api_key="none", server_url=scenarios.URL)
    asked = {"model": "mistral-small-latest", "messages": WHY}
    code = {"model": "codestral-latest", "prompt": "def labyrinth():"}
    talk = {"model": "mistral-small-latest", "inputs": "Why?"}

    async def later():
        answer = await client.chat.complete_async(**asked)
        stream = await client.chat.stream_async(**asked)
        return scenarios.text_of(answer), [words(event) async for event in stream]

    def calls():
        conversation = client.beta.conversations.start(**talk)
        return [
            scenarios.text_of(client.chat.complete(**asked)),
            [words(event) for event in client.chat.stream(**asked)],
            scenarios.text_of(client.fim.complete(**code)),
            client.embeddings.create(model="mistral-embed", inputs=["Why?"]).data[0].embedding,
            conversation.outputs[0].content,
            asyncio.run(later()),
        ]

    return calls


def words(event):
    return event.data.choices[0].delta.content


def dspy():
    sdk = import_module("dspy")
    there = {"api_base": f"{scenarios.URL}/v1", "api_key": "none", "cache": False}
    model = sdk.LM("openai/gpt-4o", num_retries=0, **there)
    program = sdk.Predict("question -> answer")
    program.set_lm(model)
    thinking = sdk.ChainOfThought("question -> answer")
    thinking.set_lm(model)

    def lengths(question: str) -> int:
        """How long a question is."""
        return len(question)

    agent = sdk.ReAct("question -> answer", tools=[lengths], max_iters=2)
    agent.set_lm(model)
    parallel = sdk.Parallel(num_threads=2, disable_progress_bar=True)

    def calls():
        both = [(program, {"question": it}) for it in ("Why?", "Where?")]
        return [
            program(question="Why?").answer,
            thinking(question="Why?").reasoning,
            agent(question="Why?").answer,
            asyncio.run(program.acall(question="Why?")).answer,
            [it.answer for it in parallel(both)],
            model("Why?"),
        ]

    return calls
