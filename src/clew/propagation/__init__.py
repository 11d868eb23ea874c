"""Ways by which an identity goes where OpenTelemetry's context does not go by itself."""
