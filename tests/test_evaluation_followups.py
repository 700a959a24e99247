"""The measurement of follow-ups: what it counts, put to the real services over a few dialogues."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.evaluation import followups
from tools.evaluation.followups import MOST_STANDALONE_REWRITTEN, Walked, judge, row, run
from tools.retrieval_set import read_lines

GOLD = "special-debt-measures-03.txt"


def turn(content: str, *gold: str, full: str = "") -> dict[str, Any]:
    own = {"content": content, "standalone": not full, "gold": list(gold)}
    return own | ({"gold_query": full} if full else {})


def walked(one: dict[str, Any], *, has_history: bool = True, rewritten: bool = False, hit: bool = True) -> Walked:
    return Walked(one, has_history, rewritten, hit)


def test_a_row_counts_follow_ups_and_standalone_turns_apart() -> None:
    follow_up, alone, chat = turn("利息呢？", GOLD, full="利息"), turn("什么是债务？", GOLD), turn("写首诗")
    line = row(
        "x",
        [
            walked(follow_up, rewritten=True),
            walked(follow_up, rewritten=True, hit=False),
            walked(alone, has_history=False),
            walked(alone, rewritten=True, hit=False),
            walked(chat, hit=False),
        ],
    )
    assert (line["follow-ups"], line["R@2"]) == (2, 0.5)
    assert (line["standalone"], line["standalone R@2"]) == (3, 0.5)  # the poem has no gold passage
    assert line["rewritten"] == pytest.approx(1 / 3)
    assert line["of those with a history"] == 0.5


def test_figures_of_nothing_are_none_and_miss_their_bars() -> None:
    line = row("x", [])
    assert line["R@2"] is line["rewritten"] is None
    assert len(judge("x", line, 0.9)) == 2


def test_a_bar_is_missed_from_just_below() -> None:
    kept: dict[str, float | int | str | None] = {"R@2": 0.9, "rewritten": MOST_STANDALONE_REWRITTEN}
    assert judge("x", kept, 0.9) == []
    assert judge("x", kept | {"R@2": 0.899}, 0.9) == ["x: R@2 below 0.9"]
    assert judge("x", kept | {"rewritten": 0.031}, 0.9) == ["x: more than 3% of the standalone turns rewritten"]


def test_dialogues_are_walked_through_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        turn("政府专项债务应当通过什么偿还？", GOLD),
        turn("利息呢？", GOLD, full="政府专项债务的利息通过什么偿还？"),
    ]
    missed = [
        turn("量子计算用什么材料？"),  # refused: what it found stands in the trail
        turn("政府采购有哪些方式？", "procurement-law-01.txt"),
        turn("它的主要方式呢？", "no-such-file.txt", full="政府采购的主要方式是什么？"),
    ]
    dialogues = [
        {"id": name, "half": half, "turns": turns}
        for half in followups.PARTS
        for name, turns in ((f"{half}-1", found), (f"{half}-2", missed))
    ]
    path = tmp_path / "dialogues.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in dialogues), encoding="utf-8")
    monkeypatch.setattr(followups, "DIALOGUES", path)
    monkeypatch.delenv("YIJU_LLM_URL", raising=False)
    monkeypatch.setenv("YIJU_EMBEDDER", "none")
    table = run(None)
    rows = {str(line[""]): line for line in table.rows}
    for name in (*(f"deterministic, {half}" for half in (*followups.PARTS, "all")),):
        assert (rows[name]["R@2"], rows[name]["standalone R@2"], rows[name]["rewritten"]) == (0.5, 1.0, 0.0), name
    assert rows["written out by hand, held-out"]["R@2"] == 0.5
    assert table.missed == ["deterministic: R@2 below 0.9"]
    assert "no law articles" in table.title


def test_the_shipped_dialogues_name_passages_that_there_are() -> None:
    dialogues = list(read_lines(followups.DIALOGUES))
    assert len(dialogues) >= 80
    assert len({dialogue["id"] for dialogue in dialogues}) == len(dialogues)
    assert {dialogue["half"] for dialogue in dialogues} == set(followups.PARTS)
    files = {path.name for path in (followups.ROOT / "preprocess_data").glob("*.txt")}
    for one in (one for dialogue in dialogues for one in dialogue["turns"]):
        assert set(one["gold"]) <= files, one
        assert one["standalone"] or (one["gold"] and one["gold_query"]), one
