"""Private. What is set on spans: ids, one LLM span per model call, its cost; session sampling."""
