// The service in the middle: it finds the facts, and has the one behind it write the answer.
"use strict";

const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = require("@opentelemetry/core");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { UndiciInstrumentation } = require("@opentelemetry/instrumentation-undici");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { trace } = require("@opentelemetry/api");
const { getAttributesFromContext } = require("@arizeai/openinference-core");
const { ClewPropagator } = require("./clew.cjs");

const { ANSWERS_URL, CLEW_PROPAGATE_TO, CLEW_TRUST_INBOUND, OTEL_SERVICE_NAME, PORT } = process.env;

// Puts the ids on the spans of all libraries.
const stamp = {
  onStart: (span, parent) => span.setAttributes(getAttributesFromContext(parent)),
  onEnd: () => {},
  forceFlush: async () => {},
  shutdown: async () => {},
};
const wanted = process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": OTEL_SERVICE_NAME ?? "desk" }),
  spanProcessors: wanted ? [stamp, new BatchSpanProcessor(new OTLPTraceExporter())] : [stamp],
});
// Reads the ids from incoming requests, and writes them into those to the listed hosts.
const ours = new ClewPropagator({
  hosts: (CLEW_PROPAGATE_TO ?? "").split(",").filter(Boolean),
  trustInbound: CLEW_TRUST_INBOUND === "1",
});
provider.register({
  propagator: new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator(), ours],
  }),
});
registerInstrumentations({ instrumentations: [new HttpInstrumentation(), new UndiciInstrumentation()] });

const http = require("node:http");
const { json } = require("node:stream/consumers");
const tracer = trace.getTracer("desk");
const FACTS = {
  Saturday: "The workshop is open from 9 to 13 on Saturdays.",
  rent: "A bicycle can be rented for up to seven days.",
};

function answer(question, signal) {
  return tracer.startActiveSpan("find facts and words", async (span) => {
    try {
      const facts = Object.keys(FACTS).filter((word) => question.includes(word)).map((word) => FACTS[word]);
      const body = JSON.stringify({ question, facts: facts.join(" ") });
      const headers = { "content-type": "application/json" };
      const reply = await fetch(ANSWERS_URL, { method: "POST", headers, body, signal });
      if (!reply.ok) throw new Error(`${ANSWERS_URL} says ${reply.status}`);
      return await reply.text();
    } finally {
      span.end();
    }
  });
}

async function handle(request, response) {
  const gone = new AbortController(); // Stop if the client has disconnected.
  response.once("close", () => gone.abort());
  try {
    response.end(await answer((await json(request)).question, gone.signal));
  } catch (error) {
    response.writeHead(502).end(String(error));
  }
}

const answering = new Set();
const server = http.createServer((request, response) => {
  const handled = handle(request, response).finally(() => answering.delete(handled));
  answering.add(handled);
});
server.listen(Number(PORT ?? 8001), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/ask`);
});

// Once: finish the current answers, and send the last spans.
async function end() {
  await new Promise((done) => server.close(done));
  await Promise.all(answering);
  await provider.shutdown();
  process.exit();
}
let ending;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (ending ??= end()));
