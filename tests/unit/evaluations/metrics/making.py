"""Makes stores of sessions that differ in what metrics ask of them."""

import json
from contextlib import closing

from clew.store.database import connect
from clew.store.writer import Writer
from tests.support.conversation_spans import SECOND, START, turn

DAY = 86400 * SECOND


def session(name, user="ada", *, at=0, release=None, tags=(), models=("a",), asked="Hi?", **given):
    """Return the spans of a session, one turn for each of *models*."""
    spans = []
    for number, model in enumerate(models):
        given.setdefault("tool", False)
        made = turn(
            name,
            user,
            asked,
            number=number,
            start=START + at + number * SECOND,
            model=model,
            **given,
        )
        for it in made:
            if release is not None:
                it.attributes["metadata"] = json.dumps({"release": release})
            if tags:
                it.attributes["tag.tags"] = tuple(tags)
        spans += made
    return spans


def write(path, *sessions):
    """Write the spans of sessions to the store at *path*."""
    with closing(connect(path, create=True)) as connection:
        Writer(connection).add([it for spans in sessions for it in spans])
