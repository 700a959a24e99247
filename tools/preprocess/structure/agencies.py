"""Names of public bodies, and the numbers of their documents. Pure functions."""

import re

from service_kit.numerals import NUMERAL
from tools.preprocess.structure.script import plain
from tools.preprocess.structure.text import HAN, squeeze

_ENDINGS = (
    "人民代表大会常务委员会|人民代表大会|人民政府办公厅|人民政府办公室|人民政府|常务委员会|工作委员会|委员会办公室|委员会|"
    "办公厅|办公室|领导小组|国务院|中央|人民法院|检察院|总局|总署|公署|管理局|银行|研究院|学院|大学|协会|联合会|"
    "中心|集团|公司|交易所|监察委|基金会|财政厅|财政局|发展改革委|发改委|部|委|局|厅|署|院|司|处|办|会|社|馆|所|行|省|市|县"
)
_AGENCY = re.compile(rf"(?:[{HAN}（）()×XＸ○*]{{1,30}}?(?:{_ENDINGS}))+")
_SEVERAL = re.compile(r"[\s\u3000、,，]+")
_YEAR = r"[〔\[［【（(﹝{]\s*((?:19|20)\d{2})\s*[〕\]］】）)﹞}]"
_DOC_NO = re.compile(rf"([{HAN}A-Za-z]{{1,16}}?)\s*{_YEAR}\s*(?:第\s*)?(\d{{1,5}}(?:-\d+)?)\s*号")
_ORDER = re.compile(
    rf"([{HAN}\s\u3000、]{{0,40}}?令)\s*[（(]?\s*((?:(?:19|20)\d{{2}}\s*年\s*)?第\s*[{NUMERAL}\d]+\s*号)\s*[)）]?"
)
_NOTICE = re.compile(
    rf"([{HAN}\s\u3000、]{{0,60}}?(?:公告|通告|公报))\s*[（(〔]?\s*((?:19|20)\d{{2}})\s*[)）〕]?\s*年?\s*第?\s*([{NUMERAL}\d]+)\s*号"
)
_STANDARD = re.compile(r"(?:[A-Z]{2,3}\d{0,4})(?:/[A-Z]{1,2})?\s*\d+(?:\.\d+)?\s*[—–-]{1,2}\s*(?:19|20)\d{2}")
"""GB/T 7714—2015"""
_WIDE_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")


def is_agency(text: str) -> bool:
    """Whether `text` is the name of a body, or of several side by side, and nothing else."""
    names = [part for part in _SEVERAL.split(plain(text).strip()) if part]
    # Letter by letter (财 政 部) it is one name.
    if len(names) > 1 and all(len(name) == 1 for name in names):
        names = ["".join(names)]
    return 0 < len(text) <= 80 and bool(names) and all(len(n) >= 2 and _AGENCY.fullmatch(n) for n in names)


def agencies(text: str) -> str:
    """The names in `text` as one line: 财政部、国家税务总局."""
    names = [part for part in _SEVERAL.split(text.strip()) if part]
    if all(len(name) == 1 for name in names):
        return "".join(names)
    return "、".join(names)


def doc_number(line: str) -> str | None:
    """The number of a document that a line of its head gives, in its usual form: 财预〔2023〕12号, 财政部令第81号."""
    text = line.translate(_WIDE_DIGITS)
    if found := _DOC_NO.search(plain(text)):
        prefix = squeeze(text[found.start(1) : found.end(1)]).removeprefix("文号").removeprefix("号")
        return f"{prefix}〔{found[2]}〕{found[3]}{text[found.end() - 1]}"
    if found := _NOTICE.search(plain(text)):
        return f"{_folded(text[found.start(1) : found.end(1)])}{found[2]}年第{found[3]}{text[found.end() - 1]}"
    if found := _ORDER.search(plain(text)):
        return f"{_folded(text[found.start(1) : found.end(1)])}{squeeze(text[found.start(2) : found.end(2)])}"
    if found := _STANDARD.fullmatch(text.strip()):
        return found.group()
    return None


def _folded(names: str) -> str:
    """Names as they are printed, with one blank where there are several."""
    return re.sub(r"[\s\u3000]+", " ", names.strip())


def is_only_number(line: str) -> bool:
    """Whether a line is a document number and nothing but its brackets, a label or 签发人."""
    text = plain(line.translate(_WIDE_DIGITS))
    if _STANDARD.fullmatch(text.strip()):
        return True
    for pattern in (_DOC_NO, _NOTICE, _ORDER):
        if found := pattern.search(text):
            rest = text[: found.start()] + text[found.end() :]
            rest = re.sub(r"(发文字号|发文号|文件编号|文号|字号|编号)", "", rest)
            rest = re.sub(rf"签发人\s*[:：]?[{HAN}\s\u3000、]*", "", rest)
            return not re.sub(r"[\s\u3000：:（）()\[\]【】]", "", rest)
    return False
