"""Pictures are SVG without styles, and say in words what they show."""

import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("markupsafe")

from clew.viewer.pictures import Mark, Point, bars, course, gathered, timeline, trend, turns_picture

MARKS = [Mark(1, 0.3, 0), Mark(2, 30, 0), Mark(3, 2, 1)]


def read(svg):
    return ET.fromstring(svg)


def rects(svg):
    return [it for it in read(svg).iter() if it.tag.endswith("rect")]


def test_a_mark_is_as_high_as_its_turn_took_long():
    low, high, middle = (int(it.get("height")) for it in rects(turns_picture(MARKS)))
    assert low < middle < high


def test_colours_say_what_went_wrong():
    assert [it.get("class") for it in rects(turns_picture(MARKS))] == ["good", "slow", "bad"]
    assert 'aria-label="3 turns, 1 failed"' in turns_picture(MARKS)


def test_what_annoys_has_a_colour_and_a_sign_of_its_own():
    marks = [Mark(1, 1, 0, is_annoyed=True), Mark(2, 1, 0, is_failed=True), Mark(3, 1, 0)]
    drawn = read(turns_picture(marks, href="#{}".format))
    signs = [it for it in drawn.iter() if it.tag.endswith("path")]
    assert [it.get("class") for it in signs] == ["annoyed", "bad"]
    assert len({it.get("d").partition("m")[2] for it in signs}) == 2
    named = [it.get("aria-label") for it in drawn.iter() if it.tag.endswith("a")]
    assert named[0] == "Turn 1: 1.0 s, the user is annoyed"
    assert named[1] == "Turn 2: 1.0 s, failed"
    assert named[2] == "Turn 3: 1.0 s"


def test_of_turns_that_share_a_mark_a_failed_one_is_worse_than_an_annoyed_one():
    marks = [Mark(1, 60, 0), Mark(2, 1, 0, is_annoyed=True), Mark(3, 1, 1), Mark(4, 2, 0)]
    assert [it.number for it in gathered(marks, 2)] == [2, 3]


def test_a_course_shows_values_below_zero_and_where_they_lie():
    points = [
        Point(2.0, 1.0, 3.0, "a"),
        Point(-1.0, None, None, "<b>"),
        Point(None, None, None, ""),
    ]
    drawn = read(course(points, height=80))
    bars_of = [it for it in drawn.iter() if it.get("class") == "good"]
    assert [(float(it.get("y")), float(it.get("height"))) for it in bars_of] == [(20, 40), (60, 20)]
    (line,) = (it for it in drawn.iter() if it.tag.endswith("line"))
    assert (float(line.get("y1")), float(line.get("y2"))) == (0, 40)


def test_of_many_turns_the_worst_are_shown():
    marks = [Mark(number, 1, int(number == 777)) for number in range(1, 1001)]
    shown = gathered(marks, 50)
    assert len(shown) == 50
    assert [mark.number for mark in shown if mark.errors] == [777]
    assert sum(mark.turns for mark in shown) == 1000


def test_marks_lead_to_their_turns():
    places = {1: "#turn-1", 2: '"><script>', 3: "#turn-3"}
    svg = turns_picture(MARKS, href=places.__getitem__)
    tree = read(svg)
    hrefs = [it.get("href") for it in tree.iter() if it.tag == "a"]
    assert hrefs == ["#turn-1", '"><script>', "#turn-3"]


def test_pictures_of_nothing_are_pictures():
    for svg in (
        turns_picture([]),
        course([]),
        bars([], []),
        trend([], ""),
        bars([0, 0], ["a", "b"]),
    ):
        read(svg)


def test_no_picture_has_styles():
    drawn = (bars([1, 2], ["a", "<b>"]), trend([1], "<"), timeline(0, 2, "bad"))
    for svg in (turns_picture(MARKS), *drawn):
        read(svg)
        assert "style" not in svg
