"""The sample corpus keeps to its file format, and every sample question points at files that exist."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[1] / "preprocess_data"
QUESTIONS = Path(__file__).parent / "data" / "sample_questions.jsonl"
KEYS = {"doc_no", "issuer", "issued", "effective", "repealed", "status", "path", "source", "page"}
STATUSES = {"现行", "废止", "部分废止", "已修改"}
DOC_NO = re.compile(r"[\u4e00-\u9fff]+(〔\d{4}〕\d+号|令第\d+号)")
FILES = sorted(CORPUS.glob("*.txt"))


def parts(file: Path) -> tuple[str, dict[str, str], str]:
    """Title, metadata and passage; only a file with metadata has an empty line, after it."""
    title, _, rest = file.read_bytes().decode("utf-8").partition("\n")
    head, gap, passage = rest.partition("\n\n")
    if not gap:
        return title, {}, rest.strip()
    pairs = [line.partition(": ") for line in head.splitlines()]
    assert len({key for key, _, _ in pairs}) == len(pairs), "a metadata key is given twice"
    return title, {key: value for key, _, value in pairs}, passage.strip()


def questions() -> list[dict[str, object]]:
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def test_the_corpus_is_large_enough_and_has_files_without_metadata() -> None:
    assert len(FILES) >= 60
    assert sum(not parts(file)[1] for file in FILES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_keeps_to_the_format(file: Path) -> None:
    title, meta, passage = parts(file)
    assert b"\r" not in file.read_bytes()
    assert re.fullmatch(r"[a-z0-9-]+\.txt", file.name)
    assert title.strip() == title != ""
    assert meta.keys() <= KEYS
    assert all(meta.values())
    assert meta.get("status", "现行") in STATUSES
    assert DOC_NO.fullmatch(meta.get("doc_no", "财预〔2016〕155号"))
    dates = [date.fromisoformat(meta[key]) for key in ("issued", "effective", "repealed") if key in meta]
    assert dates == sorted(dates)
    assert "" not in passage.splitlines()
    assert 0 < len(passage) <= 1000
    assert passage.endswith(("。", "；"))


def test_no_passage_is_there_twice() -> None:
    passages = [parts(file)[2] for file in FILES]
    assert len(set(passages)) == len(passages)


def test_every_sample_question_has_files_that_answer_it() -> None:
    rows = questions()
    assert len(rows) >= 60
    assert len({row["query"] for row in rows}) == len(rows)
    names = {file.name for file in FILES}
    for row in rows:
        gold = row["gold"]
        assert isinstance(gold, list)
        assert gold, row["query"]
        assert set(gold) <= names, row["query"]


def test_the_tutorials_three_questions_come_first() -> None:
    assert [row["query"] for row in questions()[:3]] == [
        "什么是政府专项债务？",
        "专项债收入可以用于经常性支出吗？",
        "政府专项债务应当通过什么偿还？",
    ]
