"""A store in a temporary folder."""

import pytest

from clew.store.database import connect


@pytest.fixture
def store(tmp_path):
    connection = connect(tmp_path / "store" / "spans.db", create=True)
    yield connection
    connection.close()
