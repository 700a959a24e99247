"""The head of a document: everything above its text, and which of these lines is the title."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_kit.numerals import dates
from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.structure import labels, marks
from tools.preprocess.structure.agencies import agencies, doc_number, is_agency, is_only_number
from tools.preprocess.structure.captions import UNIT
from tools.preprocess.structure.script import plain
from tools.preprocess.structure.text import ends_sentence, join_lines, squeeze

MOST_LINES = 40
"""Blocks at the top that are looked at."""
_LONGEST_TITLE = 150
_LEAST_WRAPPED = 10
"""Characters of a line that may be the first of two of a title, where no size of type tells."""
_LONGEST_BESIDE_DATE = 14
"""Characters beside the date in a line that only dates: 来源：财政部 2018年8月14日."""
_LARGE = 1.12
"""Font size, relative to the usual one, from which a line stands out."""

_KIND = (
    "通知|意见|办法|规定|决定|条例|细则|方案|批复|函|公告|通告|通报|公报|报告|规划|纲要|标准|准则|制度|指引|指南|说明|解读|答复|"
    "议案|纪要|命令|令|规则|章程|决议|要点|计划|规范|法|法典|宪法|目录|清单|问答|总结|预算|决算|情况|草案|合同|协议|手册|教程|表|"
    "复函|安排|建议|讲话|汇编|摘要|简介|概况|公示|须知|流程|预案|白皮书|措施|工作|事项|政策|办法实施细则|解释"
)
_VERSION = re.compile(
    r"[（(【\[][^（）()。]{0,12}(?:试行|暂行|草案|修订|修正|征求意见稿|送审稿|稿|版|摘要|节选|废止|失效)[^（）()。]{0,8}[)）】\]]"
)
_COMPLETE = re.compile(rf".*(?:{_KIND})(?:[（(【\[].{{1,16}}[)）】\]])?")
_RED_HEAD = re.compile(r"[^。，：《]{2,60}(?:文件|公报|〔红头〕)")
_SECRECY = re.compile(
    r"(?:绝密|机密|秘密|内部)(?:[★☆].{0,8})?|特急|加急|平急|急件|特提|\d{6}|NO\.?\s*\d+|[-—_=★☆*·\s]+", re.I
)
_SIGNER = re.compile(r"签发人\s*[:：]?.{0,20}")
_SALUTATION = re.compile(r"[^。]{2,400}[：:]")
_NOTE = re.compile(r"[（(【\[].*[)）】\]]", re.DOTALL)
_PASSED = re.compile(r"通过|公布|发布|修订|修正|施行|批准|印发|会议|废止|失效|号")
_ENACTED_BY = re.compile(
    r"日(?:第[一二三四五六七八九十]+届)?([^\d，。；（）]{2,40}?)(?:第[一二三四五六七八九十百\d]+(?:次|号)|令第|令\s|常务会议|印发|发布|公布|颁布|制定|通过|批准)"
)
_ORDER = re.compile(r".{0,40}令")
_NAMED = re.compile(r"《([^《》]+(?:〈[^〉]*〉[^《》]*)*)》")


@dataclass(frozen=True)
class Front:
    """The head of one document."""

    title: str | None
    lines: tuple[Paragraph, ...]
    """All lines but the title's, in their order."""
    issuer: str | None
    """From the red head or the line above the title."""
    doc_no: str | None
    labels: Mapping[str, str]
    """Facts by meaning (`labels._LABELS`)."""


def split_front(blocks: Sequence[Block]) -> tuple[Front, list[Block]]:
    """The head, and the blocks below it."""
    facts: dict[str, str] = {}
    head: list[Paragraph] = []
    at = 0
    while at < min(len(blocks), MOST_LINES):
        block = blocks[at]
        if isinstance(block, Table):
            found = labels.in_rows(block.rows)
            if found is None:
                break
        elif found := labels.in_line(block.text):
            pass
        elif _is_text(block, head):
            break
        else:
            head.append(block)
        facts |= {key: value for key, value in (found or {}).items() if value and key not in facts}
        at += 1
    title, used = _title(head)
    rest = list(blocks[at:])
    number = next((no for p in head if is_only_number(p.text) and (no := doc_number(p.text))), None)
    if title and number is None:
        number = next((no for p in head if p not in used and len(p.text) < 60 and (no := doc_number(p.text))), None)
    if title and _ORDER.fullmatch(plain(title)):
        number = number or _order_number(title, head)
        title = _named_by_order(head, rest) or title
    lines = tuple(p for p in head if p not in used)
    return Front(title, lines, _issuer(head, used), number, facts), rest


def _is_text(block: Paragraph, head: Sequence[Paragraph]) -> bool:
    """Whether the document's text begins here, below the lines of `head`."""
    text = block.text
    if _NOTE.fullmatch(text) and (_PASSED.search(plain(text)) or _VERSION.fullmatch(plain(text))):
        return False
    if marks.article(text, 1) or marks.division(text):
        return True
    if marks.attachment(text):  # at the very top it is a file of its own
        return bool(head)
    mark = marks.item(text)
    if mark and mark.number == 1 and mark.kind in {"一、", "（一）", "1.", "（1）"}:
        return True
    if is_only_number(text):
        return False
    if UNIT.fullmatch(text) or (marks.CAPTION.fullmatch(text) and head):
        return True
    if block.heading and head and not _stands_out(block):
        return head[-1].heading != block.heading or bool(_COMPLETE.fullmatch(plain(head[-1].text)))
    if len(text) > _LONGEST_TITLE or (ends_sentence(text) and not text.endswith(("》", "”")) and head):
        return not (block.heading == 1 or _stands_out(block))
    return False


def _stands_out(block: Paragraph) -> bool:
    return block.size >= _LARGE or (block.heading == 1 and block.centred)


def _title(head: Sequence[Paragraph]) -> tuple[str | None, list[Paragraph]]:
    """The title and the lines it is made of."""
    groups = _groups(head)
    if not groups:
        red = [p for p in head if _RED_HEAD.fullmatch(plain(p.text))]
        return (red[0].text, red[:1]) if red else (None, [])
    best = max(groups, key=lambda group: (_worth(group), -head.index(group[0])))
    text = best[0].text
    for line in best[1:]:
        text = join_lines(text, line.text)
    used = list(best)
    before = head.index(best[0]) - 1
    if plain(text).startswith("关于") and before >= 0 and is_agency(head[before].text):
        names = [head[before]]
        while before > 0 and is_agency(head[before - 1].text):
            before -= 1
            names.insert(0, head[before])
        text = " ".join(re.sub(r"[\s\u3000]+", " ", p.text) for p in names) + text
        used = names + used
    return text, used


def _groups(head: Sequence[Paragraph]) -> list[list[Paragraph]]:
    """The runs of lines that may be a title."""
    groups: list[list[Paragraph]] = []
    open_group = False
    for p in head:
        if open_group and _VERSION.fullmatch(plain(p.text)):
            groups[-1].append(p)
            continue
        if not _may_be_title(p):
            open_group = False
            continue
        if open_group and _reads_on(groups[-1], p):
            groups[-1].append(p)
        else:
            groups.append([p])
        open_group = True
    return groups


def _may_be_title(p: Paragraph) -> bool:
    text = p.text
    if text.endswith(("。", "；", "，")) or len(text) > _LONGEST_TITLE:
        return False
    if (mark := marks.attachment(text)) and not mark.rest:
        return False
    if _RED_HEAD.fullmatch(plain(text)) and "关于" not in plain(text) and "《" not in text:
        return False
    if _SECRECY.fullmatch(text) or _SIGNER.fullmatch(plain(text)) or is_only_number(text) or is_agency(text):
        return False
    if (_NOTE.fullmatch(text) and not text.startswith("【")) or text.startswith(("——", "--")):
        return False
    found = list(dates(text))
    beside = len(squeeze(text)) - sum(one.end - one.start for one in found)
    if found and beside <= _LONGEST_BESIDE_DATE and not _COMPLETE.fullmatch(plain(text)):
        return False
    return not (_SALUTATION.fullmatch(text) and not p.heading) and bool(re.search(r"\w{2}", text))


def _reads_on(group: Sequence[Paragraph], p: Paragraph) -> bool:
    """Whether `p` is the next line of the same title."""
    last, text = group[-1], "".join(one.text for one in group)
    if text.count("《") > text.count("》"):
        return True
    if abs(last.size - p.size) > 0.05 or last.heading != p.heading:
        return False
    if last.heading or (last.size >= _LARGE and last.centred == p.centred):
        return not (last.heading and _COMPLETE.fullmatch(plain(text)))
    if len(text) < _LEAST_WRAPPED and "关于" not in plain(text) and not (last.centred and p.centred):
        return False
    return not _COMPLETE.fullmatch(plain(text)) and bool(_COMPLETE.fullmatch(plain(p.text)) or p.centred)


def _worth(group: Sequence[Paragraph]) -> float:
    """How much a run of lines looks like the title."""
    text = "".join(p.text for p in group)
    first = group[0]
    return (
        3.0 * (0 < first.heading <= 1)
        + 2.0 * (first.size >= _LARGE)
        + 1.0 * first.centred
        + 2.0 * bool(_COMPLETE.fullmatch(plain(text)))
        + 1.5 * ("关于" in plain(text))
        - 2.0 * (len(text) < 4)
    )


def _issuer(head: Sequence[Paragraph], used: Sequence[Paragraph]) -> str | None:
    for p in head:
        red = _RED_HEAD.fullmatch(plain(p.text))
        if red and "关于" not in plain(p.text):
            name = re.sub(r"[\s\u3000]*(?:文件|公报)$", "", p.text)
            if is_agency(name):
                return agencies(name)
    lines = [p.text for p in head if is_agency(p.text)]
    if lines:
        return agencies(" ".join(lines))
    text = "".join(p.text for p in used)
    prefix = text[: plain(text).index("关于")] if "关于" in plain(text) else ""
    if prefix and is_agency(prefix):
        return agencies(prefix)
    for p in head:
        if (found := _ENACTED_BY.search(p.text)) and is_agency(found[1]):
            return agencies(found[1])
    order = re.fullmatch(r"(.+?)令", text)
    return order[1] if order and is_agency(order[1]) else None


def _order_number(title: str, head: Sequence[Paragraph]) -> str | None:
    """财政部令, then 第 81 号 on a line of its own."""
    for p in head:
        if re.fullmatch(r"[（(]?\s*(?:\d{4}\s*年\s*)?第\s*[一二三四五六七八九十百千零〇\d]+\s*号\s*[)）]?", p.text):
            return squeeze(title) + squeeze(p.text).strip("（）()")
    return doc_number(title)


def _named_by_order(head: Sequence[Paragraph], rest: Sequence[Block]) -> str | None:
    """The document that an order (令) publishes: the first one that its text names."""
    texts = [p.text for p in head] + [b.text for b in rest[:3] if isinstance(b, Paragraph)]
    for text in texts:
        found = _NAMED.search(text)
        if found and re.search(r"公布|通过|发布|施行", text):
            return found[1]
    return None
