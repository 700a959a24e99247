"""The corpus as files: every document in the formats it is seen in."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tools.bench_preprocess.contents import corpus
from tools.bench_preprocess.model import Model
from tools.bench_preprocess.writers import docx_file, pdf_file, plain, xlsx_file

_ENCODINGS = ("gb18030", "utf-8", "utf-16", "utf-8-sig")


@dataclass(frozen=True)
class File:
    """One file and its truth."""

    name: str
    data: bytes
    truth: Model
    noise: tuple[str, ...]
    """Lines that no passage may hold."""


def all_files() -> Iterator[File]:
    """The whole corpus."""
    for n, model in enumerate(corpus()):
        yield from _of_table(model, n) if model.name.startswith("statistics") else _of_text(model, n)


def _of_text(model: Model, n: int) -> Iterator[File]:
    encoding = _ENCODINGS[n % len(_ENCODINGS)]
    noise = (model.running_head, model.watermark) if model.running_head != model.full_title else (model.watermark,)
    yield _file(f"{model.name}.docx", docx_file.write(model, styled=bool(n % 2)), model, noise)
    columns = 2 if n % 3 == 1 else 1
    yield _file(f"{model.name}.pdf", pdf_file.write(model, columns=columns, embedded=bool(n % 2)), model, noise)
    wrapped = n % 2 and not model.table
    # A short 附件 and nothing else marks where an attachment begins in text, so heads are left out of it.
    yield _file(
        f"{model.name}.txt", plain.txt(_without_notes(model), encoding, width=38 * wrapped), _without_notes(model), ()
    )
    if n % 2:
        site = (*plain.NAVIGATION, plain.FOOT, "分享到：微信 微博", "脚本内容不应出现", "当前位置")
        yield _file(f"{model.name}.html", plain.html(model, "gb18030" if n % 4 == 1 else "utf-8"), model, site)
    else:
        yield _file(f"{model.name}.md", plain.md(model), model, ())


def _of_table(model: Model, n: int) -> Iterator[File]:
    yield _file(f"{model.name}.xlsx", xlsx_file.write(model), model, ())
    bare = replace(model, title=(f"{model.name}",), opening=(), signature=())
    yield _file(f"{model.name}.csv", plain.csv_file(model, _ENCODINGS[n % 2]), bare, ())


def _without_notes(model: Model) -> Model:
    """Plain text has no footnotes."""
    return replace(model, footnotes=())


def _file(name: str, data: bytes, model: Model, noise: tuple[str, ...]) -> File:
    return File(name, data, model, tuple(filter(None, noise)))
