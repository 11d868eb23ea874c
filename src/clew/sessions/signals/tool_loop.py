"""tool_loop: a tool is called with the same arguments three times, or hardly any other one is."""

from collections import Counter
from collections.abc import Iterator

from clew.sessions.masked import is_masked
from clew.sessions.signals.conversation import Conversation, calls_of_tools
from clew.sessions.signals.finding import TurnFinding, shortened

_SAME_CALLS = 3
_MIN_CALLS = 5
_SHARE = 0.6
_ONE_TOOL = 0.5


def find(conversation: Conversation) -> Iterator[TurnFinding]:
    """Yield the turns with three equal calls, or with one tool in 60 % of at least five calls."""
    for it in conversation.exchanges:
        calls = calls_of_tools(it.turn)
        if len(calls) < _SAME_CALLS:
            continue
        seen: Counter[tuple[str, str]] = Counter()
        for name, arguments, span in calls:
            if not arguments or is_masked(arguments):
                continue  # What is not recorded may differ each time.
            seen[name, arguments] += 1
            if seen[name, arguments] == _SAME_CALLS:
                words = shortened(f"{name}({arguments})")
                yield TurnFinding(it.index, "tool_loop", 1.0, span, words)
                break
        else:
            name, count = Counter(name for name, _, _ in calls).most_common(1)[0]
            if len(calls) >= _MIN_CALLS and count >= _SHARE * len(calls):
                span = [it[2] for it in calls if it[0] == name][_SAME_CALLS - 1]
                words = f"{name}: {count} of {len(calls)} calls"
                yield TurnFinding(it.index, "tool_loop", _ONE_TOOL, span, words)
