"""txt, md, csv and html, in any encoding."""

import csv
import io
from html import escape

from tools.bench_preprocess.model import Model


def txt(model: Model, encoding: str, *, width: int = 0) -> bytes:
    """`width`: characters after which lines are cut, as in mail and old archives; 0 leaves paragraphs whole."""
    lines: list[str] = []
    _text(model, lines)
    if width:
        lines = [piece for line in lines for piece in _wrap(line, width)]
    if model.running_head and width:
        lines = [
            line for n, one in enumerate(lines, 1) for line in ((one, f"— {n // 20} —") if n % 20 == 0 else (one,))
        ]
    return "\r\n".join(lines).encode(encoding)


def _text(model: Model, lines: list[str]) -> None:
    lines += [model.red_head, ""] if model.red_head else []
    lines += [f"{' ' * 10}{title}" for title in model.title]
    lines += [f"{' ' * 16}{text}" for text in (model.doc_no, model.note) if text]
    lines.append("")
    if model.contents:
        lines += ["目　录", *(section.heading for section in model.sections), ""]
    lines += [model.salutation] if model.salutation else []
    lines += [f"　　{text}" for text in model.opening]
    for section in model.sections:
        if section.heading:
            lines.append(f"　　{section.heading}")
        lines += [
            f"　　{text}" for text in (*(p for article in section.articles for p in article), *section.paragraphs)
        ]
    lines += [model.table_caption] if model.table_caption else []
    lines += ["\t".join(row) for row in model.table]
    lines += [f"　　{text}" if text.startswith(("附件", "注")) else f"{'　' * 14}{text}" for text in model.signature]
    if model.attachment:
        lines += ["", "附件", ""]
        _text(model.attachment, lines)


def _wrap(line: str, width: int) -> list[str]:
    if "\t" in line:
        return [line]
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]


def csv_file(model: Model, encoding: str) -> bytes:
    """The table alone."""
    stream = io.StringIO()
    csv.writer(stream).writerows(model.table)
    return stream.getvalue().encode(encoding)


def md(model: Model, encoding: str = "utf-8") -> bytes:
    """With footnotes and a pipe table."""
    return "\n\n".join(_markdown(model)).encode(encoding)


def _markdown(model: Model, level: int = 1) -> list[str]:
    blocks = [
        f"{'#' * level} {model.full_title}",
        *([model.doc_no] if model.doc_no else []),
        *([model.note] if model.note else []),
    ]
    blocks += [model.salutation] if model.salutation else []
    blocks += model.opening
    notes = dict(model.footnotes)
    for section in model.sections:
        blocks += [f"{'#' * (level + 1)} {section.heading}"] if section.heading else []
        for text in (*(p for article in section.articles for p in article), *section.paragraphs):
            marked = text
            for n, sentence in enumerate(notes, 1):
                marked = marked.replace(sentence, f"{sentence[:-1]}[^{n}]{sentence[-1]}")
            blocks.append(marked)
    if model.table:
        head, *rows = (f"| {' | '.join(row)} |" for row in model.table)
        blocks += [model.table_caption] if model.table_caption else []
        blocks.append("\n".join([head, "|" + " --- |" * len(model.table[0]), *rows]))
    blocks += model.signature
    if model.attachment:
        blocks += ["附件", *_markdown(model.attachment, level + 1)]
    return blocks + [f"[^{n}]: {note}" for n, note in enumerate(notes.values(), 1)]


NAVIGATION = ("首页", "政务公开", "政策解读", "互动交流", "走进机关")
FOOT = "版权所有：财政信息网 京ICP备05002860号 网站标识码bm14000001"


def html(model: Model, encoding: str) -> bytes:
    """A page of a ministry's site: navigation, a table of facts, the text in divs, a foot."""
    facts = [
        ("发文字号：", model.doc_no),
        ("发文机关：", model.issuer),
        ("成文日期：", model.issued),
        ("发布日期：", "2031-01-31"),
    ]
    shown = [pair for pair in facts if pair[1]]
    rows = "".join(f"<tr><td>{label}</td><td>{escape(value)}</td></tr>" for label, value in shown)
    links = "".join(f'<li><a href="/{n}">{name}</a></li>' for n, name in enumerate(NAVIGATION))
    text = "".join(_html(model, title=False))
    page = (
        f'<!DOCTYPE html><html><head><meta charset="{encoding}"><title>{model.full_title}_政策_财政信息网</title>'
        "<style>.x{color:red}</style><script>var hidden='脚本内容不应出现';</script></head><body>"
        f'<div class="header"><ul class="nav">{links}</ul></div>'
        '<div class="crumb">当前位置：首页 &gt; 政务公开 &gt; 正文</div>'
        f'<div class="main"><table class="facts">{rows}</table><h1>{"<br>".join(model.title)}</h1>'
        f'<div class="pages_content">{text}</div><div class="share">分享到：微信 微博</div></div>'
        f'<div class="footer"><p>{FOOT}</p></div></body></html>'
    )
    return page.encode(encoding)


def _html(model: Model, *, title: bool = True) -> list[str]:
    out = [f'<p style="text-align: center">{model.full_title}</p>'] if title else []
    out += [f'<p align="center">{text}</p>' for text in (model.doc_no, model.note) if text]
    out += [f"<p>{text}</p>" for text in (model.salutation, *model.opening) if text]
    notes = dict(model.footnotes)
    for section in model.sections:
        out += [f"<p><strong>{section.heading}</strong></p>"] if section.heading else []
        for text in (*(p for article in section.articles for p in article), *section.paragraphs):
            marked = text
            for n, sentence in enumerate(notes, 1):
                link = f'<sup><a href="#fn{n}" id="fnref{n}">[{n}]</a></sup>'
                marked = marked.replace(sentence, f"{sentence[:-1]}{link}{sentence[-1]}")
            out.append(f"<p>&emsp;&emsp;{marked}</p>\n")
    if model.table:
        out += [f'<p align="center">{model.table_caption}</p>'] if model.table_caption else []
        head, *rows = model.table
        cells = ["".join(f"<th>{cell}</th>" for cell in head), *("".join(f"<td>{c}</td>" for c in row) for row in rows)]
        out.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")
    out += [f'<p style="text-align:right">{text}</p>' for text in model.signature]
    if model.attachment:
        out += ["<p>附件</p>", *_html(model.attachment)]
    if notes:
        items = "".join(
            f'<li id="fn{n}">{note} <a href="#fnref{n}">↩</a></li>' for n, note in enumerate(notes.values(), 1)
        )
        out.append(f"<ol>{items}</ol>")
    return out
