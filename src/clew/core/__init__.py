"""What everything else uses and what uses nothing else: settings, errors, frameworks, counters."""
