"""Private. What everything else uses: settings, errors, the table of frameworks, counters."""
