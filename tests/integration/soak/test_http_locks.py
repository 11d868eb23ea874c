"""httpcore closes an abandoned stream in the thread that has the pool's lock, without waiting."""

import threading

import pytest

httpcore = pytest.importorskip("httpcore")
http_locks = pytest.importorskip("soak.http_locks", reason="The sdist has no soak.")
connection_pool = http_locks.connection_pool


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(connection_pool, "ThreadLock", connection_pool.ThreadLock)
    http_locks.mend()
    return httpcore.ConnectionPool()


def test_the_thread_that_has_the_lock_does_not_wait_for_it(pool):
    with pool._optional_thread_lock, pytest.raises(http_locks.WouldWaitForItselfError):
        pool.close()
    pool.close()


def test_another_thread_waits(pool):
    closed = threading.Event()

    def close():
        pool.close()
        closed.set()

    waiting = threading.Thread(target=close)
    with pool._optional_thread_lock:
        waiting.start()
        assert not closed.wait(0.1)
    waiting.join(30)
    assert closed.is_set()
