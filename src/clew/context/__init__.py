"""The session and the user in the OpenTelemetry context: ids, blocks, decorators, requests, `carry`."""
