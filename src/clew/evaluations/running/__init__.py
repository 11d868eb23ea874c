"""Private. Runs: what is new to evaluators is found, claimed, judged and recorded."""
