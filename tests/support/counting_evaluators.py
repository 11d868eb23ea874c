"""Evaluators of each level that need no model."""

from clew.evaluations import evaluator


@evaluator(version="1")
def turns(session):
    return len(session.turns)


@evaluator(level="turn", version="1")
def words(turn):
    return len(turn.output.text.split())


@evaluator(level="call", version="1")
def named(call):
    return call.kind
