"""The format of a passage file."""

import hashlib
import json

import pytest

from service_kit.errors import UnreadableFile
from service_kit.passages import Passage
from service_kit.passages.passage import METADATA
from service_kit.passages.txt_file import MAX_BYTES, parse

WITH_METADATA = """地方政府专项债务预算管理办法
doc_no: 财预〔2016〕155号
ISSUER：财政部
issued: 2016-11-09
status:

第一条 为规范地方政府专项债务预算管理，制定本办法。
第二条 本办法所称专项债务，包括：专项债券。
"""


def test_plain_tutorial_file() -> None:
    passage = parse("专项债务\n专项债务是指……\n第二行".encode(), "zx.txt")
    assert (passage.title, passage.text) == ("专项债务", "专项债务是指……\n第二行")
    assert passage.content == "专项债务\n专项债务是指……\n第二行"
    assert passage.fields == {"source": "zx.txt"}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_metadata(newline: str) -> None:
    passage = parse(WITH_METADATA.replace("\n", newline).encode())
    assert passage.fields == {"doc_no": "财预〔2016〕155号", "issuer": "财政部", "issued": "2016-11-09"}
    assert passage.text.startswith("第一条")
    assert passage.text.endswith("专项债券。")
    assert "财预" not in passage.content


@pytest.mark.parametrize(
    "body",
    [
        "status: 这是正文的第一行\n第二行",
        "说明：正文里有冒号",
        "source: 只有这一行",
        "doc_no: 1\n备注: 未知的键\n\n正文",
        "正文\nstatus: 后来才有\n\n正文",
        "\nstatus: 空行之后是正文\n\n正文",
    ],
)
def test_colons_in_a_plain_passage_stay(body: str) -> None:
    passage = parse(f"标题\n{body}\n".encode())
    assert passage == Passage("标题", body.strip())


def test_own_source_beats_file_name() -> None:
    assert parse("标题\nsource: 汇编.pdf\n\n正文".encode(), "a/b.txt").fields == {"source": "汇编.pdf"}


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("专项债务", "专项债务"),
        ("专项债务应当通过项目收入偿还。一般债务则不同。", "专项债务应当通过项目收入偿还"),
        ("债" * 100, "债" * 40),
    ],
)
def test_one_line_is_passage_and_title(line: str, title: str) -> None:
    assert parse(line.encode()) == Passage(title, line)


@pytest.mark.parametrize("data", [b"", "\ufeff".encode(), "　\n\n".encode(), b"x" * (MAX_BYTES + 1)])
def test_refuses(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        parse(data)


def test_blank_lines_and_dos_end_around_the_text_do_not_count() -> None:
    assert parse("\ufeff\n\n　标题 \n\n正文\n\n\x1a".encode()) == Passage("标题", "正文")


def test_id_depends_on_title_text_and_metadata_but_not_on_the_file() -> None:
    passages = [
        Passage("题", "文"),
        Passage("题文", ""),
        Passage("题", "文", issuer="财政部"),
        Passage("题", "文", issued="财政部"),
        Passage("题", "文", source="a.txt"),
    ]
    assert len({passage.id for passage in passages}) == len(passages)
    assert Passage("题", "文", file="a.txt").id == passages[0].id
    assert len(passages[0].id) == 32


@pytest.mark.parametrize("metadata", [{}, {"issuer": "财政部", "page": ""}])
def test_the_id_of_a_passage_is_the_one_that_indices_hold(metadata: dict[str, str]) -> None:
    passage = Passage('题"', "文\n\\🙂", file="a.txt", **metadata)
    values = [passage.title, passage.text, *(metadata.get(key) for key in METADATA)]
    assert passage.id == hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]


def test_a_lone_carriage_return_ends_a_line() -> None:
    assert parse("\r标题\rissuer: 财政部\r\r正文\r\n二\r".encode()) == Passage("标题", "正文\n二", issuer="财政部")


def test_json_round_trip() -> None:
    passage = Passage("题", "文\n🙂", issuer="财政部", file="a/b.txt")
    assert Passage.from_json(passage.to_json()) == passage
