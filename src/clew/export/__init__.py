"""Private. Exports spans without ever making the application wait.

OpenTelemetry's BatchSpanProcessor cannot do that. A program cannot read how many spans it has
dropped; its ``force_flush`` ignores its timeout and waits for an export that hangs; its
``shutdown`` waits for half a minute, once for each exporter; and no public API changes any of this.
So clew has a span processor of its own, for the provider that clew makes. An application's own
provider is not changed.
"""
