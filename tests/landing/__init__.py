"""The landing table: each way of calling a framework, and the ids on the spans that it makes."""

import pytest

pytest.register_assert_rewrite("tests.landing.table")
