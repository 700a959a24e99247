"""The numbers that Word draws itself (第一条, 一、, 1.1): the file holds only how to count them."""

from collections import defaultdict
from dataclasses import dataclass, field

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_CHINESE = {
    "chineseCounting", "chineseCountingThousand", "ideographDigital", "japaneseCounting", "taiwaneseCounting",
    "taiwaneseCountingThousand", "ideographTraditional", "chineseLegalSimplified", "koreanDigital2",
}  # fmt: skip
_DIGITS = "零一二三四五六七八九"
_LEVELS = 9


@dataclass(frozen=True)
class Level:
    """How one level of a list is written."""

    format: str
    text: str
    """`第%1条`: %1 is the number of the first level."""
    start: int
    style: str | None
    restarts: bool
    """Whether it begins anew below each number of a higher level."""


@dataclass
class Numbering:
    """Counts while the paragraphs go by in their order."""

    lists: dict[str, str] = field(default_factory=dict)
    """numId -> abstractNumId"""
    levels: dict[str, dict[int, Level]] = field(default_factory=dict)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    """(numId, level) -> the number that this list begins with instead."""
    _counts: defaultdict[str, list[int | None]] = field(default_factory=lambda: defaultdict(lambda: [None] * _LEVELS))
    _begun: set[str] = field(default_factory=set)

    def next(self, list_id: str, depth: int) -> str:
        """The number of the next paragraph of a list, as it is drawn; empty for bullets and unknown lists."""
        abstract = self.lists.get(list_id)
        levels = self.levels.get(abstract or "", {})
        level = levels.get(depth)
        if abstract is None or level is None:
            return ""
        counts = self._counts[abstract]
        if list_id not in self._begun:  # a list that begins anew, although it looks like the one before
            self._begun.add(list_id)
            for (own, at), start in self.starts.items():
                if own == list_id and at <= depth:
                    counts[at] = start - 1
        now = counts[depth]
        counts[depth] = level.start if now is None else now + 1
        for deeper in range(depth + 1, _LEVELS):
            if deeper not in levels or levels[deeper].restarts:
                counts[deeper] = None
        return self._written(levels, counts, level)

    def of_style(self, style_id: str) -> tuple[str, int] | None:
        """The list and level that number all paragraphs of a style."""
        for list_id, abstract in self.lists.items():
            for depth, level in self.levels.get(abstract, {}).items():
                if level.style == style_id:
                    return list_id, depth
        return None

    @staticmethod
    def _written(levels: dict[int, Level], counts: list[int | None], level: Level) -> str:
        if level.format in {"bullet", "none"}:
            return ""
        text = level.text
        for depth in range(_LEVELS):
            place = f"%{depth + 1}"
            if place in text and depth in levels:
                own = levels[depth]
                format_ = "decimal" if level.format == "decimal" and text.count("%") > 1 else own.format
                text = text.replace(place, written(counts[depth] or own.start, format_))
        return text


def read_numbering(part: bytes | None) -> Numbering:
    """Of word/numbering.xml; without one nothing is numbered."""
    numbering = Numbering()
    if not part:
        return numbering
    root = etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))
    for abstract in root.findall(f"{W}abstractNum"):
        levels = {int(lvl.get(f"{W}ilvl", "0")): _level(lvl) for lvl in abstract.findall(f"{W}lvl")}
        numbering.levels[abstract.get(f"{W}abstractNumId", "")] = levels
    for num in root.findall(f"{W}num"):
        list_id, target = num.get(f"{W}numId", ""), num.find(f"{W}abstractNumId")
        if target is not None:
            numbering.lists[list_id] = target.get(f"{W}val", "")
        for override in num.findall(f"{W}lvlOverride"):
            start = override.find(f"{W}startOverride")
            if start is not None:
                numbering.starts[list_id, int(override.get(f"{W}ilvl", "0"))] = int(start.get(f"{W}val", "1"))
    return numbering


def _level(element: etree._Element) -> Level:
    def value(name: str, default: str) -> str:
        child = element.find(f"{W}{name}")
        return default if child is None else child.get(f"{W}val", default)

    return Level(
        value("numFmt", "decimal"),
        value("lvlText", ""),
        int(value("start", "1")),
        value("pStyle", "") or None,
        value("lvlRestart", "") != "0",
    )


def written(number: int, format_: str) -> str:
    """A number in one of Word's formats; decimal for those that Chinese documents do not use."""
    if format_ in _CHINESE:
        return chinese(number)
    if format_.startswith("decimalEnclosedCircle") and 1 <= number <= 20:
        return chr(ord("①") + number - 1)
    if format_ in {"lowerLetter", "upperLetter"} and 1 <= number <= 26:
        return chr(ord("a" if format_ == "lowerLetter" else "A") + number - 1)
    return str(number)


def chinese(number: int) -> str:
    """123 -> 一百二十三, up to 9999."""
    if not 0 < number < 10_000:
        return str(number)
    text, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            text += ("零" if zero and text else "") + _DIGITS[digit] + name
            zero = False
        else:
            zero = True
    return text[1:] if text.startswith("一十") else text
