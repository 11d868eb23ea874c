"""Private. What spans carry: ids, one LLM span for each model call, its cost; which are kept."""
