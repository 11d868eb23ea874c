// The ids between Node and Python services: what ClewPropagator does, for OpenTelemetry JS.
"use strict";

const { createContextKey, propagation, SpanKind, trace } = require("@opentelemetry/api");
const { getSession, getUser, setSession, setUser } = require("@arizeai/openinference-core");

const KEYS = ["session.id", "user.id", "clew.pseudonym"];
const PSEUDONYM = createContextKey("clew.pseudonym");

class ClewPropagator {
  // hosts: the only hosts that get the ids, exactly as they are written in URLs.
  // trustInbound: whether to use the ids that a request contains.
  constructor({ hosts = [], trustInbound = false } = {}) {
    this.hosts = new Set(hosts);
    this.trustInbound = trustInbound;
  }

  fields() {
    return ["baggage"];
  }

  inject(context, carrier, setter) {
    const span = trace.getSpan(context);
    const to = span?.attributes?.["server.address"] ?? span?.attributes?.["net.peer.name"];
    if (span?.kind !== SpanKind.CLIENT || !this.hosts.has(to)) return;
    const ids = { "session.id": getSession(context)?.sessionId, "user.id": getUser(context)?.userId };
    if (ids["user.id"] && context.getValue(PSEUDONYM)) ids["clew.pseudonym"] = "user.id";
    const members = Object.entries(ids).filter(([, value]) => value);
    if (members.length === 0) return;
    const ours = members.map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
    setter.set(carrier, "baggage", [carrier.baggage, ...ours].filter(Boolean).join(","));
  }

  extract(context, carrier, getter) {
    // OpenTelemetry's own propagator would send them to every host.
    const baggage = propagation.getBaggage(context);
    if (baggage) context = propagation.setBaggage(context, baggage.removeEntries(...KEYS));
    const header = [getter.get(carrier, "baggage") ?? []].flat().join(",");
    if (!this.trustInbound || header.length > 8192) return context;
    const ids = {};
    for (const member of header.split(",")) {
      const [, key, value] = /^\s*([^=;\s]+)\s*=\s*([^;\s]*)/.exec(member) ?? [];
      try {
        if (key) ids[key] = decodeURIComponent(value);
      } catch {
        continue;
      }
    }
    const usable = (id) => id && [...id].length <= 256 && !/\p{C}/u.test(id);
    if (usable(ids["session.id"])) context = setSession(context, { sessionId: ids["session.id"] });
    if (usable(ids["user.id"])) context = setUser(context, { userId: ids["user.id"] });
    return context.setValue(PSEUDONYM, ids["clew.pseudonym"] === "user.id");
  }
}

module.exports = { ClewPropagator };
