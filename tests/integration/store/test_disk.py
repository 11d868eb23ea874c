"""What can happen to the file: spans are lost and counted, and the application goes on."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from clew import sessions
from clew.store.database import StoreError, connect

IS_ROOT = sys.platform == "linux" and os.geteuid() == 0
MOUNTING = pytest.mark.skipif(not IS_ROOT, reason="only root may mount a file system")


def write(application, number, session):
    """Make spans; return whether they were exported."""
    application.tell("spans", number, session)
    return application.tell("flush")["flushed"]


def stored(path):
    connection = connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = dict(connection.execute("SELECT session_id, count(*) FROM span GROUP BY session_id"))
    connection.close()
    return found


def listed(path):
    with sessions.open(path) as store:
        return {session.id: session.spans for session in store.list()}


def counted(application):
    said = application.tell("stats")
    assert said["waiting"] == 0
    assert said["errors"] == {}
    return said["exported"], sum(said["dropped"].values())


def one_line(application, *parts):
    """See that it ends well, and has said one thing, in which these parts occur."""
    code, lines = application.end()
    assert code == 0
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


@pytest.fixture
def mount(tmp_path):
    """Mount a file system in memory; return its folder, and a function to mount it otherwise."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def with_options(options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
        return folder

    def again(options):
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    yield with_options, again
    subprocess.run(["umount", "--lazy", folder], check=False)


def test_a_store_that_is_deleted_is_made_anew(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    application = start(path)
    assert write(application, 5, "before")
    shutil.rmtree(path.parent)
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"after": 7}
    assert counted(application) == (12, 0)
    assert (path.parent / ".gitignore").exists()
    assert application.end() == (0, [])


def test_a_store_that_is_deleted_by_its_file_is_made_anew(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    application = start(path)
    assert write(application, 5, "before")
    path.unlink()  # The files of SQLite's log stay, and are of another store.
    assert write(application, 7, "after")
    assert listed(path) == {"after": 7}
    assert write(application, 1, "later")
    assert stored(path) == listed(path) == {"after": 7, "later": 1}
    assert application.end() == (0, [])


def test_a_store_whose_file_is_moved_away_keeps_what_it_has(tmp_path, start):
    """Whichever process makes the next store, and though each still has the log of the first."""
    path, away = tmp_path / ".clew" / "sessions.db", tmp_path / "away.db"
    applications = [start(path), start(path)]
    for number, application in enumerate(applications):
        assert write(application, 300, f"before-{number}")
    path.rename(away)
    for number, application in enumerate(applications):
        assert write(application, 30, f"after-{number}")
    newcomer = start(path)
    assert write(newcomer, 7, "newcomer")
    for application in (*applications, newcomer):
        assert application.end() == (0, [])
    assert stored(away) == {"before-0": 300, "before-1": 300}
    assert stored(path) == {"after-0": 30, "after-1": 30, "newcomer": 7}


def test_a_new_store_shares_no_log_with_one_that_was_moved_away(tmp_path, start):
    """Its log is still open in a process that has nothing to write for a while."""
    path, away = tmp_path / ".clew" / "sessions.db", tmp_path / "away.db"
    idle, newcomer = start(path), start(path)
    assert write(idle, 30, "before")
    path.rename(away)
    assert write(newcomer, 300, "newcomer")
    assert write(idle, 5, "after")
    assert idle.end() == newcomer.end() == (0, [])
    assert stored(away) == {"before": 30}
    assert stored(path) == listed(path) == {"newcomer": 300, "after": 5}


def test_a_store_that_is_put_in_place_of_another_has_nothing_of_its_log(tmp_path, start):
    path, away, copy = tmp_path / ".clew" / "sessions.db", tmp_path / "away.db", tmp_path / "copy"
    application, other = start(path), start(copy)
    assert write(other, 20, "copied")
    assert other.end() == (0, [])
    assert write(application, 300, "before")
    path.rename(away)
    copy.rename(path)
    assert write(application, 7, "after")
    assert application.end() == (0, [])
    assert stored(path) == listed(path) == {"copied": 20, "after": 7}


def test_a_store_that_is_replaced_is_the_one_that_is_used(tmp_path, start):
    path, other = tmp_path / ".clew" / "sessions.db", tmp_path / "other.db"
    application = start(path)
    assert write(application, 5, "before")
    connect(other, create=True).close()
    other.replace(path)
    assert write(application, 7, "after")
    assert listed(path)["after"] == 7
    assert application.end() == (0, [])


@pytest.mark.slow
def test_a_store_that_is_locked_for_long(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    application = start(path)
    assert write(application, 5, "before")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not write(application, 6, "locked")
    assert listed(path) == {"before": 5}  # It can be read nevertheless.
    other.execute("ROLLBACK")
    assert write(application, 7, "after")
    other.close()
    assert stored(path) == listed(path) == {"before": 5, "after": 7}
    assert counted(application) == (12, 6)
    one_line(application, str(path), "written by another process", "6 spans")


@pytest.mark.slow
def test_a_store_that_is_locked_at_the_end(tmp_path, start):
    path = tmp_path / ".clew" / "sessions.db"
    application = start(path, CLEW_EXIT_TIMEOUT="1")
    assert write(application, 5, "before")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    application.tell("spans", 6, "locked")
    one_line(application, "6 spans could not be delivered before the end")
    other.execute("ROLLBACK")
    other.close()
    assert stored(path) == {"before": 5}


@MOUNTING
def test_a_disk_that_is_full(mount, start):
    with_options, again = mount
    path = with_options("size=1m") / ".clew" / "sessions.db"
    application = start(path, WORDS="1000")
    assert write(application, 5, "before")
    assert not write(application, 300, "many")
    again("size=64m")
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"before": 5, "after": 7}
    assert counted(application) == (12, 300)
    one_line(application, str(path), "no space", "free some", "300 spans")


@MOUNTING
def test_a_disk_that_is_full_before_there_is_a_store(mount, start):
    with_options, _ = mount
    folder = with_options("size=1m")
    (folder / "large").write_bytes(bytes(2**20 - 4096))
    path = folder / ".clew" / "sessions.db"
    application = start(path)
    assert not write(application, 5, "many")
    (folder / "large").unlink()
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"after": 7}
    assert counted(application) == (7, 5)
    one_line(application, str(path))


@MOUNTING
def test_a_store_on_a_full_disk_is_read(mount, start):
    with_options, _ = mount
    folder = with_options("size=2m")
    path = folder / ".clew" / "sessions.db"
    application = start(path)
    assert write(application, 5, "before")
    assert application.end() == (0, [])
    assert not path.with_name("sessions.db-shm").exists()
    with (folder / "large").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with sessions.open(path) as store:
        assert store.sql("SELECT count(*) AS spans FROM spans")[0] == {"spans": 5}
    with pytest.raises(StoreError, match="there is no space"):
        connect(path)


@MOUNTING
def test_a_disk_that_is_read_only(mount, start):
    with_options, again = mount
    path = with_options("size=16m") / ".clew" / "sessions.db"
    first = start(path)
    assert write(first, 5, "before")
    assert first.end() == (0, [])
    again("ro")
    assert listed(path) == {"before": 5}
    with sessions.open(path) as store:
        assert store.sql("SELECT count(*) AS spans FROM spans")[0] == {"spans": 5}
        with pytest.raises(StoreError, match="may not be written"):
            store.forget(session="before")
    application = start(path)
    assert not write(application, 6, "read-only")
    again("rw")
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"before": 5, "after": 7}
    assert counted(application) == (7, 6)
    one_line(application, str(path), "CLEW_STORE", "6 spans")


@pytest.fixture
def failing_disk(tmp_path):
    """Mount a file system on a file; return its folder, a way to make it fail, and to repair it."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()

    def run(*command):
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def mount():
        return run("mount", "-o", "loop,errors=remount-ro", image, folder)

    def fail():
        """Do what an error of the hardware does: nothing can be written from then on."""
        source = f"loop{os.minor(folder.stat().st_dev)}"
        Path(f"/sys/fs/ext4/{source}/trigger_fs_error").write_text("1", "ascii")

    def repair():
        run("umount", folder)
        run("e2fsck", "-fy", image)
        return mount()

    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    if not (run("mkfs.ext4", "-q", image) and mount()):
        pytest.skip("no file system can be mounted on a file here")
    yield folder, fail, repair
    run("umount", "--lazy", folder)


@MOUNTING
def test_a_disk_that_turns_read_only_while_the_store_is_open(failing_disk, start):
    folder, fail, repair = failing_disk
    path = folder / ".clew" / "sessions.db"
    application = start(path)
    assert write(application, 5, "before")
    os.sync()
    fail()
    assert not write(application, 6, "read-only")
    assert not write(application, 1, "again")
    assert repair()  # The application has closed the files.
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"before": 5, "after": 7}
    assert counted(application) == (12, 7)
    one_line(application, str(path), "CLEW_STORE", "6 spans")


@pytest.mark.parametrize("while_open", [False, True])
def test_a_file_that_is_damaged(tmp_path, start, while_open):
    path = tmp_path / ".clew" / "sessions.db"
    first = start(path, WORDS="200")
    assert write(first, 500, "before")
    application = first
    if not while_open:
        assert first.end() == (0, [])
        application = start(path)
    else:
        connection = connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096 + 8)
            file.write(b"\xff" * 1000)
    assert not write(application, 6, "damaged")
    path.rename(tmp_path / "damaged.db")
    for rest in path.parent.glob("sessions.db-*"):
        rest.unlink()
    assert write(application, 7, "after")
    assert stored(path) == listed(path) == {"after": 7}
    exported, dropped = counted(application)
    assert (exported, dropped) == (7 + 500 * while_open, 6)
    one_line(application, str(path), "is damaged", "move it away", "6 spans")
