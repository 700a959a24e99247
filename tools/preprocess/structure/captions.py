"""Gives tables the lines above that name them, and the remarks below."""

import re
from collections.abc import Sequence
from dataclasses import replace

from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.structure import marks

UNIT = re.compile(r"[（(]?\s*(?:金额|计量|货币)?单位\s*[:：].{1,30}")
_REMARK = re.compile(r"(?:注|备注|说明|资料来源|数据来源|来源)\s*\d*\s*[：:].{1,300}", re.DOTALL)
_NAMED = re.compile(r".{2,60}(?:表|清单|一览|目录|明细)(?:[（(].{1,20}[)）])?")


def with_captions(blocks: Sequence[Block]) -> list[Block]:
    """The blocks; 表1 … and 单位：亿元 directly above a table and 注：… below it belong to it and are no paragraphs."""
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Table) and not block.caption:
            lines: list[str] = []
            while kept and len(lines) < 2 and isinstance(above := kept[-1], Paragraph) and _names(above, lines):
                lines.insert(0, above.text)
                kept.pop()
            kept.append(replace(block, caption=" ".join(lines)))
        elif isinstance(block, Paragraph) and kept and isinstance(kept[-1], Table) and _REMARK.fullmatch(block.text):
            kept[-1] = replace(kept[-1], remarks=(*kept[-1].remarks, block.text))
        else:
            kept.append(block)
    return kept


def _names(above: Paragraph, lines: Sequence[str]) -> bool:
    """Whether a line belongs to the table below. The unit stands between the name and the table."""
    if not lines and UNIT.fullmatch(above.text):
        return True
    if lines and not UNIT.fullmatch(lines[0]):
        return False
    if marks.CAPTION.fullmatch(above.text) and marks.is_heading_text(above.text):
        return True
    return above.centred and not above.heading and bool(_NAMED.fullmatch(above.text))
