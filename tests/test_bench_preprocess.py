"""The bench at reduced size: the same targets on a part of the corpus, and that it can see faults."""

from dataclasses import replace

from tools.bench_preprocess.__main__ import meets_targets
from tools.bench_preprocess.files import File, all_files
from tools.bench_preprocess.score import Score, add
from tools.bench_preprocess.speed import measure
from tools.preprocess.passages import Limits
from tools.preprocess.pipeline import Document, process
from tools.preprocess.tokens import estimate


def read(file: File) -> Document:
    return process(file.name, file.data, Limits(), estimate)


def test_the_corpus_is_read_as_well_as_it_has_to_be() -> None:
    score = Score()
    for file in list(all_files())[::2]:
        add(score, file, read(file))
    assert score.documents >= 40
    assert meets_targets(score.shares), score.faults


def test_the_score_sees_what_is_wrong() -> None:
    file = next(all_files())
    document = read(file)
    lost = replace(document, facts=replace(document.facts, issued=None), pieces=document.pieces[:-3])
    noisy = replace(lost, pieces=tuple(replace(piece, text=f"{piece.text}\n— 3 —") for piece in lost.pieces))
    score = Score()
    add(score, file, noisy)
    assert score.shares["issued"] == 0
    assert score.shares["articles"] < 0.97
    assert score.shares["recall"] < 0.995
    assert score.shares["noise"] > 0.005
    assert not meets_targets(score.shares)


def test_pdf_is_read_about_as_fast_as_by_the_bare_library() -> None:
    speed = measure(articles=8, rounds=2)
    assert speed["of_pdfium_text_with_places"] > 0.5  # the bench holds it to 0.8; here others use the processor too
