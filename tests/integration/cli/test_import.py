"""``clew import``: what is in files, in whatever form, is added to the store once."""

import gzip
import json
import os
from threading import Thread

import pytest

from clew.store.otlp import to_json
from tests.support.conversation_spans import turn


@pytest.fixture
def file(tmp_path):
    """A file of two requests, in which some lines cannot be used."""
    lines = [to_json(turn()), b'{"resourceSpans": [', b"", b'{"other": 1}', to_json(turn("b"))]
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def test_spans_are_added_once_and_bad_lines_are_named(clew, file):
    done = clew("import", file, status=1)
    first, *rest = done.stdout.splitlines()
    assert first == f"{file}: 6 new spans"
    assert [it.split(" cannot")[0] for it in rest] == ["  line 2", "  line 4"]
    (again,) = json.loads(clew("import", "--json", file, status=1).stdout)
    assert (again["new"], again["already"]) == (0, 6)
    assert [it["line"] for it in again["unusable"]] == [2, 4]
    assert len(json.loads(clew("sessions", "--json").stdout)) == 2


def test_several_files_compressed_ones_and_a_pipe(clew, tmp_path):
    one, two = tmp_path / "one.gz", tmp_path / "two"
    one.write_bytes(gzip.compress(to_json(turn())))
    two.write_bytes(to_json([*turn(), *turn("b")]))
    done = clew("import", one, two, "-", given=to_json(turn("c")).decode())
    assert done.stdout.splitlines() == [
        f"{one}: 3 new spans",
        f"{two}: 3 new spans, 3 already there",
        "standard input: 3 new spans",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_that_has_a_name(clew, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = gzip.compress(to_json(turn()))
    # As a shell makes of `<(zcat spans.gz)`. Who opens it waits for the other one.
    thread = Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    thread.start()
    assert clew("import", pipe).stdout == f"{pipe}: 3 new spans\n"
    thread.join()


def test_what_was_exported_comes_back_unchanged(clew, filled, tmp_path):
    clew("export", "--to", "jsonl", "all.jsonl.gz")
    other = tmp_path / "other.db"
    assert "12 new spans" in clew("import", "all.jsonl.gz", "--store", other).stdout
    clew("export", "--to", "jsonl", "again.jsonl.gz", "--store", other)
    texts = [gzip.decompress((tmp_path / f"{it}.jsonl.gz").read_bytes()) for it in ("all", "again")]
    assert texts[0] == texts[1]


def test_a_file_that_is_not_there_does_not_keep_the_others_out(clew, file):
    done = clew("import", "nowhere.jsonl", file, status=1)
    assert "nowhere.jsonl cannot be read" in done.stdout
    assert "6 new spans" in done.stdout
    assert "Missing argument" in clew("import", status=2).stderr


def test_what_could_be_read_before_the_end_of_half_a_file_is_added(clew, tmp_path):
    lines = b"\n".join(to_json(turn(number=number)) for number in range(1, 400))
    half = tmp_path / "half.gz"
    half.write_bytes(gzip.compress(lines)[:-50])
    (result,) = json.loads(clew("import", "--json", half, status=1).stdout)
    assert result["error"]
    assert result["new"] > 1000
    assert result["new"] % 1000
