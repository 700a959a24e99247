"""What a document is: title, 发文字号, 发布机关, dates, status; from its head, its signature and its own words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service_kit.numerals import DATE, NUMERAL, Found, dates, days_later, first_date, to_int
from tools.preprocess.blocks import Block, Paragraph
from tools.preprocess.structure import marks
from tools.preprocess.structure.agencies import agencies, doc_number, is_agency
from tools.preprocess.structure.front import Front
from tools.preprocess.structure.script import plain

IN_FORCE, REPEALED, PARTLY_REPEALED = "现行", "废止", "部分废止"

_SIGNED = re.compile(rf"(.{{0,80}}?)[\s\u3000,，]*({DATE})\s*")
_SELF = (
    r"(?:本|此|该)(?:文件|通知|办法|规定|条例|细则|意见|决定|制度|方案|法|令|公告|规则|准则|指引|规范|规程|标准|件|文)"
)
_STARTS = re.compile(
    rf"(?:{_SELF}|^|[。；，])[^。；《》]{{0,12}}?自\s*({DATE}|(?:印发|发布|公布|下发|发文|颁布|签发)(?:之日|之时|当日)?)"
    rf"\s*(?:起|后)?(?:满|第)?\s*(?:([{NUMERAL}\d]+)\s*(?:个)?(?:工作)?日)?(?:后|起|之后|至{DATE}|以?后)*[^。；，《》]{{0,6}}?(?:施行|实施|执行|生效|试行)"
)
_STARTS_PLAIN = re.compile(rf"{_SELF}(?:于|从)\s*({DATE})\s*(?:起)?(?:正式)?(?:施行|实施|执行|生效)")
_RUNS = re.compile(rf"(?:执行期限|实施期限|有效期限?)(?:为|自|是)*\s*({DATE})\s*(?:起|至|—|-)")
_ENDS = re.compile(
    rf"(?:{_SELF})[^。；，,《》]{{0,20}}?(?:已|于|自|经|被|予以|宣布)[^。；，,《》]{{0,30}}?(?:废止|失效|停止执行|停止施行)"
    rf"|{_SELF}规?[^。；，,《》]{{0,10}}?被[^。；]{{1,80}}?(?:废止|宣布失效)"
    rf"|^[（(【\[\s]*(?:已|全文|现已|本文)?(?:废止|失效)[)）】\]\s]*$|^[（(【\[].{{0,40}}(?:已|予以|宣布)(?:被)?.{{0,12}}(?:废止|失效)[)）】\]。]*$"
)
_PARTLY = re.compile(
    rf"部分(?:条款|内容|条文)?(?:已|被|予以)?(?:废止|失效)|(?:{_SELF})?第[{NUMERAL}\d、第条款项至和]+[条款项](?:已|被)[^。]{{0,20}}(?:废止|失效)"
)
_NOT_YET = re.compile(r"期满|届满|到期|有效期|自动|同时|另行|前|届时")
_ISSUED_BY = re.compile(r"(.+?)(?:令第|公告\d{4}年)")
_ENACTED = re.compile(rf"({DATE})[^。；）)]{{0,60}}?(?:通过|公布|发布|印发|颁布|批准|修订|修正)")
_HEAD_REACH, _TAIL_REACH = 6, 4
"""Paragraphs at either end of a text in which a note on its own repeal may stand."""


@dataclass(frozen=True)
class Facts:
    """None: the document does not say. Dates are ISO."""

    title: str
    doc_no: str | None = None
    issuer: str | None = None
    issued: str | None = None
    effective: str | None = None
    repealed: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Signature:
    """机关 and 成文日期 at the end of a text."""

    issuer: str | None
    issued: str
    first: int
    """Index of its first block."""
    last: int


def find_facts(front: Front, body: Sequence[Block], fallback: str) -> Facts:
    """All facts of one document; `fallback` is the title when the page shows none."""
    labels, signed = front.labels, find_signature(body)
    texts = [plain(block.text) for block in body if isinstance(block, Paragraph)]
    notes = [plain(p.text) for p in front.lines]
    facts = Facts(
        title=front.title or labels.get("title") or fallback,
        doc_no=_labelled_number(labels.get("doc_no")) or front.doc_no,
        issuer=_labelled_issuer(labels.get("issuer")) or (signed and signed.issuer) or front.issuer,
        issued=(
            first_date(labels.get("issued", ""))
            or (signed.issued if signed else None)
            or _issued_in_head(notes)
            or _printed(texts)
            or first_date(labels.get("published", ""))
        ),
    )
    if labels.get("title") and front.title and front.title in labels["title"]:
        facts = replace(facts, title=labels["title"])
    if facts.doc_no and not facts.issuer and (by := _ISSUED_BY.match(facts.doc_no)) and is_agency(by[1]):
        facts = replace(facts, issuer=agencies(by[1]))
    facts = replace(facts, effective=first_date(labels.get("effective", "")) or _effective(facts.issued, notes + texts))
    return _with_status(facts, labels.get("status", ""), labels.get("repealed", ""), [facts.title, *notes], texts)


def find_signature(body: Sequence[Block]) -> Signature | None:
    """The first signature of the text; what follows are attachments, which may have dates of their own."""
    dated: Signature | None = None
    for at, block in enumerate(body):
        if not isinstance(block, Paragraph) or len(block.text) > 120:
            continue
        if dated and marks.attachment(block.text):
            break
        found = _SIGNED.fullmatch(block.text.strip("（()） "))
        iso = found and first_date(found[2])
        if not found or not iso:
            continue
        same_line = found[1].strip()
        if same_line and not is_agency(same_line):
            continue
        first, names = _names_above(body, at)
        if same_line:
            return Signature(agencies(" ".join([*names, same_line])), iso, first, at)
        if names:
            return Signature(agencies(" ".join(names)), iso, first, at)
        dated = dated or Signature(None, iso, at, at)
    return dated


def _names_above(body: Sequence[Block], at: int) -> tuple[int, list[str]]:
    names: list[str] = []
    first = at
    while first > 0:
        block = body[first - 1]
        if not (isinstance(block, Paragraph) and is_agency(block.text.strip("（）() "))):
            break
        names.insert(0, block.text)
        first -= 1
    return first, names


def _labelled_number(value: str | None) -> str | None:
    return (doc_number(value) or value.strip() or None) if value and value.strip("-—/无 ") else None


def _labelled_issuer(value: str | None) -> str | None:
    return agencies(value) or None if value and value.strip("-—/无 ") else None


def _issued_in_head(notes: Sequence[str]) -> str | None:
    """A date line of the head, or the last date of a note such as （…2014年8月31日…修正）."""
    for note in notes:
        found = list(dates(note))
        enacted = [iso for hit in _ENACTED.finditer(note) if (iso := first_date(hit[1]))]
        if enacted:
            return enacted[-1]
        if len(found) == 1 and not re.search("施行|实施|执行|生效|废止|失效", note) and len(note) <= 60:
            return found[0].iso
    return None


def _printed(texts: Sequence[str]) -> str | None:
    """财政部办公厅 2018年8月14日印发, in the last lines."""
    for text in reversed(texts[-_HEAD_REACH:]):
        if found := re.search(rf"({DATE})\s*(?:印发|印)\s*$", text):
            return first_date(found[1])
    return None


def _effective(issued: str | None, texts: Sequence[str]) -> str | None:
    """From the last sentence that says so: 本办法自2017年1月1日起施行, 自印发之日起30日后施行."""
    for text in reversed(texts):
        hits = [*_RUNS.finditer(text), *_STARTS.finditer(text), *_STARTS_PLAIN.finditer(text)]
        for hit in reversed(hits):
            if _quoted(text, hit.start(1)):
                continue
            if exact := next(iter(dates(hit[1])), None):
                return exact.iso
            days = to_int(hit[2]) if hit.re is _STARTS and hit[2] else 0
            if issued and days is not None and "工作日" not in hit.group():
                return days_later(issued, days)
    return None


def _quoted(text: str, at: int) -> bool:
    """Whether that place is inside quotation marks: words of another document."""
    return text.count("“", 0, at) > text.count("”", 0, at)


def _with_status(facts: Facts, label: str, date_label: str, notes: Sequence[str], texts: Sequence[str]) -> Facts:
    """Status and date of repeal. That this document repeals another one (…同时废止) says nothing of itself."""
    repealed = first_date(date_label)
    if re.search("部分|条款", label) and re.search("废止|失效", label):
        return replace(facts, status=PARTLY_REPEALED, repealed=repealed)
    if re.search("废止|失效|无效", label):
        return replace(facts, status=REPEALED, repealed=repealed)
    said = IN_FORCE if re.search("现行|有效", label) else None
    for text in (*notes, *texts[:_HEAD_REACH], *texts[-_TAIL_REACH:]):
        if len(text) <= 200 and _PARTLY.search(text) and not re.search("《", text):
            return replace(facts, status=PARTLY_REPEALED, repealed=repealed)
        for hit in _ENDS.finditer(text):
            if _NOT_YET.search(hit.group()) or _quoted(text, hit.start()):
                continue
            return replace(facts, status=REPEALED, repealed=repealed or _nearest(hit, text))
    if re.search(r"[（(【\[](?:已)?(?:废止|失效)[)）】\]]", facts.title):
        return replace(facts, status=REPEALED, repealed=repealed)
    return replace(facts, status=REPEALED if repealed else said, repealed=repealed)


def _nearest(hit: re.Match[str], text: str) -> str | None:
    found: list[Found] = [one for one in dates(text) if hit.start() - 30 <= one.start <= hit.end() + 20]
    return found[0].iso if found else None
