"""Private. Ids in OpenTelemetry's context: checked, entered in blocks, carried, read."""
