"""A conversation that breaks: the user is annoyed from the third turn on; and one that does not."""

import json

from tests.support.conversation_spans import SECOND, START, turn

BROKEN = (
    ("Where is my order A-17?", "It was sent yesterday."),
    ("When does it arrive?", "It was sent yesterday."),
    ("No, that's wrong. I asked when it arrives!", "I'm sorry, I cannot help with that."),
    ("This is useless!! I want to talk to a human.", "It was sent yesterday."),
)
CALM = (
    ("Hello, where is my bicycle?", "Your bicycle is in the shop."),
    ("Thanks, that is great!", "You are welcome."),
)


def conversation(session="broken", user="ada", talk=BROKEN, *, at=0, release="", **given):
    """Return the spans of each of its turns."""
    turns = []
    for number, (asked, answered) in enumerate(talk, 1):
        start = START + at * SECOND + number * 60 * SECOND
        made = turn(session, user, asked, answered, number=number, start=start, **given)
        for it in made:
            if release:
                it.attributes["metadata"] = json.dumps({"release": release})
        turns.append(made)
    return turns
