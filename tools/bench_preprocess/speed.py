"""Pages per second of text PDFs: the whole pipeline against the bare library on the same pages, in one process."""

import io
import time
from collections.abc import Callable
from dataclasses import replace

import pypdfium2 as pdfium
from pypdf import PdfReader

from tools.bench_preprocess.contents import law
from tools.bench_preprocess.pen import Pen
from tools.bench_preprocess.writers import pdf_file
from tools.preprocess.output import render
from tools.preprocess.passages import Limits
from tools.preprocess.pipeline import process
from tools.preprocess.tokens import estimate


def documents(articles: int) -> list[bytes]:
    """Long texts in a CID font and in an embedded one; `articles` in each chapter."""
    ending = "本法自2006年3月1日起施行。"
    models = [replace(law(n), sections=Pen(n).chapters(ending, articles, articles + 9)) for n in range(4)]
    return [pdf_file.write(model, embedded=bool(n % 2)) for n, model in enumerate(models)]


def measure(articles: int = 60, rounds: int = 3) -> dict[str, float]:
    """Pages per second of CPU time, the best of `rounds` for each: what else runs here counts as little as can be."""
    files = documents(articles)
    pages = sum(_pages(data) for data in files)
    ways: dict[str, Callable[[bytes], None]] = {
        "pdfium_text": _pdfium_text,
        "pdfium_text_with_places": _pdfium_places,
        "pypdf_text": _pypdf_text,
        "pipeline": _pipeline,
    }
    rates = {name: pages / min(_seconds(way, files) for _ in range(rounds)) for name, way in ways.items()}
    shares = {f"of_{name}": rates["pipeline"] / rates[name] for name in ways if name != "pipeline"}
    return {"pages": pages, **rates, **shares}


def _seconds(way: Callable[[bytes], None], files: list[bytes]) -> float:
    began = time.process_time()
    for data in files:
        way(data)
    return time.process_time() - began


def _pages(data: bytes) -> int:
    document = pdfium.PdfDocument(data)
    try:
        return len(document)
    finally:
        document.close()


def _pdfium_text(data: bytes) -> None:
    """Each page's text in one call, without any place."""
    _each_page(data, lambda page: page.get_text_range())


def _pdfium_places(data: bytes) -> None:
    """Each piece of text with its place, by the library's own methods: what tells headings, heads and columns apart."""

    def read(page: pdfium.PdfTextPage) -> None:
        for n in range(page.count_rects()):
            page.get_text_bounded(*page.get_rect(n))

    _each_page(data, read)


def _pypdf_text(data: bytes) -> None:
    """The other library that much is built on, in Python alone."""
    for page in PdfReader(io.BytesIO(data)).pages:
        page.extract_text()


def _each_page(data: bytes, read: Callable[[pdfium.PdfTextPage], object]) -> None:
    document = pdfium.PdfDocument(data)
    for n in range(len(document)):
        page = document[n]
        text_page = page.get_textpage()
        read(text_page)
        text_page.close()
        page.close()
    document.close()


def _pipeline(data: bytes) -> None:
    render(process("a.pdf", data, Limits(), estimate), "a.pdf")
