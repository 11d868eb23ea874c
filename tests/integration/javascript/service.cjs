// A Node service: it answers, it asks others in a session, and it shows the spans that it made.
// Run beside a copy of clew.cjs, which is in examples/distributed.
"use strict";

const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = require("@opentelemetry/core");
const { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");
const { registerInstrumentations } = require("@opentelemetry/instrumentation");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { UndiciInstrumentation } = require("@opentelemetry/instrumentation-undici");
const { context, trace } = require("@opentelemetry/api");
const { getAttributesFromContext, setSession, setUser } = require("@arizeai/openinference-core");
const { ClewPropagator } = require("./clew.cjs");

// What OpenInference's instrumentations do for their own spans, for those of all libraries.
const stamp = {
  onStart: (span, parent) => span.setAttributes(getAttributesFromContext(parent)),
  onEnd: () => {},
  forceFlush: async () => {},
  shutdown: async () => {},
};
// A response may arrive before its span has ended.
let open = 0;
const counting = { ...stamp, onStart: () => (open += 1), onEnd: () => (open -= 1) };
const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [stamp, new SimpleSpanProcessor(exporter), counting] });
const ours = new ClewPropagator({
  hosts: (process.env.CLEW_PROPAGATE_TO ?? "").split(",").filter(Boolean),
  trustInbound: process.env.CLEW_TRUST_INBOUND === "1",
});
const stock = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()];
const propagators = process.env.ONLY_STOCK ? stock : [...stock, ours];
provider.register({ propagator: new CompositePropagator({ propagators }) });
const quiet = (request) => request.url.startsWith("/spans");
registerInstrumentations({
  instrumentations: [new HttpInstrumentation({ ignoreIncomingRequestHook: quiet }), new UndiciInstrumentation()],
});

const http = require("node:http");
const tracer = trace.getTracer("service");

function byHttp(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (response) => response.resume().on("end", resolve)).on("error", reject);
  });
}

async function ask(query) {
  let within = context.active();
  if (query.has("session")) within = setSession(within, { sessionId: query.get("session") });
  if (query.has("user")) within = setUser(within, { userId: query.get("user") });
  const call = query.get("by") === "fetch" ? fetch : byHttp;
  await context.with(within, () =>
    tracer.startActiveSpan("node asks", async (span) => {
      await call(query.get("to"));
      span.end();
    }),
  );
}

const server = http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/spans") {
    while (open > 0) await new Promise(setImmediate);
    await provider.forceFlush();
    const spans = exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      trace: span.spanContext().traceId,
      session: span.attributes["session.id"] ?? null,
      user: span.attributes["user.id"] ?? null,
    }));
    exporter.reset();
    response.end(JSON.stringify(spans));
    return;
  }
  if (pathname === "/ask") await ask(searchParams);
  else tracer.startSpan("node answers").end();
  response.end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();
