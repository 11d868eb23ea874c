"""Private. Takes spans to their exporters, and never makes the application wait for it.

OpenTelemetry's BatchSpanProcessor cannot promise that. It says nothing a program could read of the
spans that it drops; its ``force_flush`` ignores the time that it is given, and waits behind an
export that hangs; its ``shutdown`` waits for half a minute, once for each exporter; and none of
this can be changed by public means. So there is one of clew's own, for the provider that clew
makes. An application's own provider is its own.
"""
