"""The landing table: every span lands with its ids, whichever way it was made."""

import pytest

pytest.register_assert_rewrite("tests.landing.table")
