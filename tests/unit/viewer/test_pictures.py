"""Pictures are SVG without styles, and say in words what they show."""

import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("markupsafe")

from clew.viewer.pictures import Mark, bars, gathered, timeline, trend, turns_picture

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


def test_of_many_turns_the_worst_are_shown():
    marks = [Mark(number, 1, int(number == 777)) for number in range(1, 1001)]
    shown = gathered(marks, 50)
    assert len(shown) == 50
    assert [mark.number for mark in shown if mark.errors] == [777]
    assert sum(mark.turns for mark in shown) == 1000


def test_marks_lead_to_their_turns():
    svg = turns_picture(MARKS, hrefs=["#turn-1", '"><script>', "#turn-3"])
    tree = read(svg)
    hrefs = [it.get("href") for it in tree.iter() if it.tag == "a"]
    assert hrefs == ["#turn-1", '"><script>', "#turn-3"]


def test_pictures_of_nothing_are_pictures():
    for svg in (turns_picture([]), bars([], []), trend([], ""), bars([0, 0], ["a", "b"])):
        read(svg)


def test_no_picture_has_styles():
    drawn = (bars([1, 2], ["a", "<b>"]), trend([1], "<"), timeline(0, 2, "bad"))
    for svg in (turns_picture(MARKS), *drawn):
        read(svg)
        assert "style" not in svg
