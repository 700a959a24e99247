"""Markdown -> Source: markdown-it makes HTML of it, and that is read as such."""

import re

from markdown_it import MarkdownIt
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from tools.preprocess.blocks import Source
from tools.preprocess.readers import html
from tools.preprocess.readers.encoded import decode_named
from tools.preprocess.readers.txt import is_wrapped
from tools.preprocess.structure import labels
from tools.preprocess.structure.text import ends_sentence, join_lines

_PROSE = re.compile(r"[\u4e00-\u9fff\u3000“《（\w](?![.、）)])(?!.*\|)")
_LEAST_WRAPPED = 20
"""Characters of a line that may have been wrapped."""
_PAIR = re.compile(r"\s*([\w\u4e00-\u9fff]+)\s*[:：]\s*[\"']?(.*?)[\"']?\s*")


def read(data: bytes) -> Source:
    """A markdown file with tables and footnotes; front matter between --- lines gives facts.

    Raises:
        UnreadableFile, NoText
    """
    text, encoding = decode_named(data)
    # Where lines are not wrapped at a width, an author's line end is meant as one.
    parser = MarkdownIt("commonmark", {"html": True, "breaks": not is_wrapped(text.split("\n"))}).enable(
        ["table", "strikethrough"]
    )
    parser.use(footnote_plugin).use(front_matter_plugin).disable("code")
    tokens = parser.parse(_unwrapped(text))
    given: dict[str, str] = {}
    for token in tokens:
        if token.type == "front_matter":
            given = _facts(token.content)
    page = f"<html><body>{parser.renderer.render(tokens, parser.options, {})}</body></html>"
    source = html.from_text(page, "md", encoding)
    return Source("md", source.blocks, encoding=encoding, labels={**source.labels, **given}, dropped=source.dropped)


def _unwrapped(text: str) -> str:
    """Line ends inside of a sentence removed: they come from an editor's width, and Chinese has no blank there."""
    lines: list[str] = []
    for line in text.split("\n"):
        last = lines[-1] if lines else ""
        if len(last) >= _LEAST_WRAPPED and not ends_sentence(last) and _PROSE.match(last) and _PROSE.match(line):
            lines[-1] = join_lines(last, line)
        else:
            lines.append(line)
    return "\n".join(lines)


def _facts(front_matter: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in front_matter.split("\n"):
        pair = _PAIR.fullmatch(line)
        known = labels.meaning(pair[1]) if pair else None
        if pair and known and pair[2]:
            facts.setdefault(known, pair[2])
    return facts
