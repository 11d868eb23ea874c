import pytest

from clew.sessions.engines.errors import EngineError
from clew.sessions.engines.flat_spans import NEEDED, check_columns


def test_where_nothing_is_no_columns_are_missed():
    with pytest.raises(EngineError, match="there are no spans in lake/: nothing is there; clew"):
        check_columns([], "lake/")


def test_columns_that_are_missing_are_named_and_those_that_are_there():
    with pytest.raises(EngineError, match=r"it has no column span_id, .*, only said, trace_id;"):
        check_columns(["trace_id", "said"], "lake/")
    check_columns(NEEDED, "lake/")
