"""From the context onto spans: ids, one LLM span for each model call, cost, sampling of sessions."""
