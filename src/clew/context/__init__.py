"""The session and the user in OpenTelemetry's context: ids, blocks, decorators, requests."""
