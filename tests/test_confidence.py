"""Confidence: the samples' own questions are answered, others are refused before any model is asked."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from es_index.scan import list_files, read_passage
from es_search.app import create_app as create_search
from rag_server.app import create_app
from rag_server.calibration import SHIPPED, Calibration, read_calibration, refuse_below
from rag_server.confidence import WEIGHTS, confidence, lacks_basis, signals
from rag_server.turn import Evidence, Retrieved
from service_kit.errors import SettingsError
from service_kit.passages import PassageReader, open_reader
from service_kit.settings import Settings
from tests.corpus import index_passages
from tests.servers import served
from tools.evaluation.cases import retrieved
from tools.retrieval_set import read_lines

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "preprocess_data"
DATA = ROOT / "tests" / "data"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageReader]:
    """The sample passages, indexed."""
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    index_passages(settings, tuple(read_passage(SAMPLES, file) for file in list_files(SAMPLES).files))
    with closing(open_reader(settings)) as opened:
        yield opened


def found(reader: PassageReader, question: str) -> Retrieved:
    result = reader.search(question, 2)
    return retrieved(result.hits, result.idf)


def refused(reader: PassageReader, file: str, kind: str | None = None) -> list[str]:
    below = read_calibration(SHIPPED).threshold
    lines = [line for line in read_lines(DATA / file) if kind in (None, line.get("kind"))]
    return [line["query"] for line in lines if lacks_basis(line["query"], found(reader, line["query"]), below)]


def test_the_samples_questions_are_nearly_all_answered(reader: PassageReader) -> None:
    assert len(refused(reader, "sample_questions.jsonl")) <= 0.05 * 93


@pytest.mark.parametrize(("kind", "of", "least"), [("unrelated", 20, 0.9), ("other law", 14, 0.7), ("near", 16, 0.4)])
def test_questions_without_an_answer_are_mostly_refused(
    reader: PassageReader, kind: str, of: int, least: float
) -> None:
    assert len(refused(reader, "unanswerable.jsonl", kind)) >= least * of


def test_without_a_passage_there_is_no_confidence() -> None:
    nothing = Retrieved((), {}, "embedded")
    assert confidence("量子计算", nothing).value == 0
    assert lacks_basis("量子计算", nothing, below=0.0)


def test_fusing_searches_does_not_lower_the_confidence(reader: PassageReader) -> None:
    question = "专项债收入可以用于经常性支出吗？"
    given = found(reader, question)
    fused = replace(given, evidence=tuple(replace(e, score=0.3 * e.score) for e in given.evidence))
    below = (confidence(question, fused).value + confidence(question, given).value) / 2
    assert lacks_basis(question, fused, below)
    assert not lacks_basis(question, replace(fused, apart=((question, given.evidence),)), below)


def test_a_search_service_without_scores_can_not_be_judged() -> None:
    bare = Evidence(1, "办法", "专项债务收入应当用于公益性资本支出。", None, None, None, None, None, 0.0)
    assert confidence("量子计算", Retrieved((bare,), {"量子": 1.0}, "ES", scored=False)).value == 1


def test_a_confidence_names_its_parts(reader: PassageReader) -> None:
    question = "专项债收入可以用于经常性支出吗？"
    given = found(reader, question)
    sure = confidence(question, given)
    assert sure.parts.keys() == WEIGHTS.keys()
    assert sure.parts == signals(question, given.evidence, given.idf)
    assert 0 < confidence("专项债收入可以炒股吗？", found(reader, "专项债收入可以炒股吗？")).value < sure.value < 1


def test_the_threshold_is_the_settings_else_the_files_else_the_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    mine = Calibration(threshold=0.25, date="2025-01-31", set="mine", questions=9, false_refusal=0, refusal=1)
    file.write_text(mine.model_dump_json())
    assert refuse_below(Settings()) == read_calibration(SHIPPED).threshold
    assert refuse_below(Settings(calibration=file)) == 0.25
    assert refuse_below(Settings(calibration=file, refuse_below=0.0)) == 0.0


@pytest.mark.parametrize("content", [None, "no JSON", '{"threshold": 2}'])
def test_a_file_that_is_no_calibration_is_named_at_start(settings: Settings, tmp_path: Path, content: str) -> None:
    file = tmp_path / "calibration.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"calibration\.json"):
        create_app(Settings(**settings.model_dump() | {"calibration": file}))


def test_a_refusal_asks_no_model_and_shows_the_nearest_documents(settings: Settings) -> None:
    index_passages(settings)
    asked: list[str] = []
    model = Flask("model")

    @model.post("/<path:path>")
    def answer(path: str) -> str:
        asked.append(path)
        return "{}"

    with served(create_search(settings)) as search, served(model) as llm:
        changes = {"search_url": search, "llm_url": llm, "answer": "generate", "refuse_below": 0.999}
        client = create_app(Settings(**settings.model_dump() | changes)).test_client()
        body = client.post("/get_bot_response", json={"id": "s", "content": "债务由谁审计？"}).get_json()
    assert (body["refused"], body["docs"], body["evidence"], asked) == (True, [], [], [])
    assert "没有找到" in body["response"]
    assert {"title": "地方政府专项债务预算管理办法", "source": "办法.docx"} in body["nearest"]


def test_a_calibration_says_when_and_on_what() -> None:
    shipped = json.loads(SHIPPED.read_text())
    assert shipped["date"].count("-") == 2
    assert "sample_questions" in shipped["set"]


def test_passages_found_by_meaning_need_fewer_of_the_words() -> None:
    passage = Evidence(1, "办法", "专项债务收入应当用于公益性资本支出。", None, None, None, None, None, 0.2)
    by_words = Retrieved((passage,), {"专项": 1.0, "土储": 2.0}, "embedded")
    by_meaning = replace(by_words, mode="hybrid")
    value = confidence("土储专项", by_words).value
    assert lacks_basis("土储专项", by_words, value * 1.2)
    assert not lacks_basis("土储专项", by_meaning, value * 1.2)
    assert lacks_basis("土储专项", by_meaning, value * 2)


@pytest.mark.parametrize("question", ["！？。，、……", "???", "🤔"])
def test_a_question_without_a_word_has_no_basis_whatever_is_near_it(question: str) -> None:
    passage = Evidence(1, "办法", "专项债务收入应当用于公益性资本支出。", None, None, None, None, None, 0.2)
    assert lacks_basis(question, Retrieved((passage,), {}, "hybrid"), 0.1)
