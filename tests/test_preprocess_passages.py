"""How parts become passages: sizes, paths, cuts."""

import random

from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.passages import Limits, Piece, cut
from tools.preprocess.splitting import split_text
from tools.preprocess.structure.outline import outline
from tools.preprocess.structure.text import squeeze
from tools.preprocess.tokens import counter, estimate

LIMITS = Limits(60, 120)


def pieces(*blocks: str | Table, limits: Limits = LIMITS, title: str = "题") -> list[Piece]:
    all_blocks: list[Block] = [Paragraph(block) if isinstance(block, str) else block for block in blocks]
    return cut(outline(all_blocks, title, range(0)), title, limits, estimate)


def test_an_article_is_a_passage_with_its_chapter() -> None:
    first, second = pieces("第一章 总则", "第一条 甲。", "乙。", "第二条 丙。")
    assert first.text == "第一章 总则\n第一条 甲。\n乙。"
    assert first.path == ("第一章 总则", "第一条")
    assert second.text == "第一章 总则\n第二条 丙。"


def test_paragraphs_are_gathered_up_to_the_target() -> None:
    long = "乙" * 25 + "。"
    assert [piece.text for piece in pieces(long, long, long)] == [f"{long}\n{long}", long]


def test_a_paragraph_over_the_target_stays_whole() -> None:
    long = "甲乙丙丁。" * 20
    assert [piece.text for piece in pieces(long)] == [long]


def test_sections_are_not_mixed() -> None:
    assert [piece.path for piece in pieces("一、甲", "文。", "二、乙", "文。")] == [("一、甲",), ("二、乙",)]


def test_small_items_under_one_heading_share_a_passage() -> None:
    (piece,) = pieces("一、甲", "（一）丙。文。", "（二）丁。文。")
    assert piece.path == ("一、甲", "（一）丙 至 （二）丁")
    assert piece.text == "一、甲\n（一）丙。文。\n（二）丁。文。"


def test_what_is_over_the_hard_limit_is_cut_at_sentence_ends_and_says_where_it_belongs() -> None:
    sentences = [f"{n}号单位应当按照规定使用资金，不得截留和挪用。" for n in range(30)]
    found = pieces("第一章 总则", "第一条 " + "".join(sentences))
    assert len(found) > 1
    assert all(piece.tokens <= LIMITS.hard for piece in found)
    assert all(piece.text.endswith("。") for piece in found)
    assert found[1].text.startswith("第一章 总则\n第一条\n")
    assert all(sentence in "".join(piece.text for piece in found) for sentence in sentences)


def test_no_text_is_lost_and_no_limit_broken_whatever_comes() -> None:
    dice = random.Random(3)
    for _ in range(60):
        text = "".join(dice.choice("甲乙丙，；。！ a1\u3000”") for _ in range(dice.randint(1, 900)))
        parts = split_text(text, 50, estimate)
        assert "".join(parts) == text
        assert max(map(estimate, parts)) <= 50


def test_a_table_repeats_its_header_in_every_piece() -> None:
    rows = (("地区", "金额"), *((f"{n}县", str(n * 1000)) for n in range(60)))
    found = pieces("第一条 见下表。", "第二章 数据", Table(rows, caption="表1 限额"))
    tables = [piece for piece in found if "表1 限额" in piece.path]
    assert len(tables) > 2
    assert all("表1 限额\n地区 | 金额\n" in piece.text for piece in tables)
    assert all(piece.tokens <= LIMITS.hard for piece in tables)
    together = "\n".join(piece.text for piece in tables)
    assert all(together.count(f"\n{n}县 | ") == 1 for n in range(60))


def test_a_table_with_a_header_as_long_as_a_text() -> None:
    found = pieces(Table((("甲。" * 200, "乙"), ("丙", "丁"))))
    assert all(piece.tokens <= LIMITS.hard for piece in found)
    assert squeeze("".join(piece.text for piece in found)).count("甲。") == 200


def test_the_estimate_counts_words_not_blanks() -> None:
    assert estimate("专项债券 2024") == 8
    assert estimate("government  debt") == 4
    assert counter(None) is estimate
