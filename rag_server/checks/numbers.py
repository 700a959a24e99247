"""Numbers as they are written in Chinese, brought to one form, so that 三十二 equals 32 and 1.5万亿元 15000亿元."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_DIGITS = {
    digit: value
    for value, digits in enumerate(
        ("零〇○", "一壹", "二贰两貳", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
    )
    for digit in digits
}
_SMALL = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_WRITTEN = "".join(_DIGITS)
_SCALES = "".join((*_SMALL, *_LARGE))

_ARABIC = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"
_HANZI = rf"[{_WRITTEN}{_SCALES}廿卅]+"
_POINT = rf"[{_WRITTEN}{_SCALES}]+点[{_WRITTEN}]+(?!十|百|千(?![克米瓦])|分)[万亿]*"
_ONE = rf"(?:{_ARABIC}|{_POINT}|{_HANZI})"
_PLAIN = rf"(?:(?:{_ARABIC})[{_SCALES}]*(?:[\d{_WRITTEN}][\d.{_WRITTEN}{_SCALES}]*)?|{_POINT}|{_HANZI})"

_UNITS = {
    "平方公里": ("平方米", 10**6), "平方千米": ("平方米", 10**6), "km2": ("平方米", 10**6), "平方米": ("平方米", 1),
    "公里": ("米", 1000), "km": ("米", 1000), "千米": ("米", 1000), "厘米": ("厘米", 1), "毫米": ("毫米", 1),
    "米": ("米", 1),
    "公斤": ("克", 1000), "kg": ("克", 1000), "千克": ("克", 1000), "克": ("克", 1), "吨": ("吨", 1),
    "个工作日": ("工作日", 1), "工作日": ("工作日", 1), "个月": ("个月", 1), "月份": ("月", 1), "月": ("月", 1),
    "日": ("日", 1), "天": ("日", 1), "年": ("年", 1), "个小时": ("小时", 1), "小时": ("小时", 1), "分钟": ("分钟", 1),
    "个百分点": ("百分点", 1), "美元": ("美元", 1), "欧元": ("欧元", 1), "港元": ("港元", 1), "日元": ("日元", 1),
    "英镑": ("英镑", 1), "元": ("元", 1), "公顷": ("公顷", 1), "亩": ("亩", 1), "倍": ("倍", 1), "岁": ("岁", 1),
    "周岁": ("岁", 1),
}  # fmt: skip
"""Unit -> what it is counted in, and how many of that. 天 and 日 are the same; 工作日 is not."""
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))

_NUMBER = re.compile(
    rf"(?P<doc>[〔\[(【〈<﹝{{](?P<doc_year>(?:19|20)\d\d|[一二][{_WRITTEN}]{{3}})[〕\])】〉>﹞}}]\s*第?(?P<doc_n>{_PLAIN})\s*号)"
    r"|(?P<iso>(?<!\d)(?P<y>(?:1\d|20)\d\d)\s*(?P<sep>[-/.])(?P<m>0?[1-9]|1[0-2])(?P=sep)(?P<d>[12]\d|3[01]|0?[1-9])(?![\d.]))"
    rf"|(?P<part>(?P<whole>百|千|万|{_ONE})分之(?P<share>{_PLAIN}))"
    rf"|(?P<percent>(?P<p>{_PLAIN})\s*(?P<sign>[%‰]))"
    r"|(?P<slash>(?<![\d/])(?P<over>\d{1,2})/(?P<under>\d{1,2})(?![\d/]))"
    rf"|(?P<tenths>(?<![年月第])(?P<t>[一二三四五六七八九1-9])成(?![立为功员果熟本绩长年人分都语吉]))"
    rf"|(?P<half>半(?P<half_unit>年|个月|天|日|个?小时))"
    rf"|(?P<ordinal>第\s*(?P<o>{_PLAIN}))"
    rf"|(?P<plain>(?P<value>{_PLAIN})\s*(?P<and_a_half>个半(?=月|小时))?(?P<unit>{_UNIT})?(?P<half_after>(?<=年)半(?![数个]))?)",
)
_MAY_BEGIN = re.compile(rf"[\d{_WRITTEN}{_SCALES}廿卅半第]|[〔\[(【〈<﹝{{](?=[12一二])")
_RANGE = re.compile(r"\s*(?:至|到|-|—|–|~|～|－|―)+\s*")


Value = int | Fraction


class Number(NamedTuple):
    """A number at `text[start:end]`. Two numbers are the same when their `key` is."""

    start: int
    end: int
    key: str


def find_numbers(text: str) -> list[Number]:
    """The numbers of `text` (NFKC-folded), in reading order; a date gives one for its year, month and day each.

    >>> [n.key for n in find_numbers("二〇二三年不超过1.5万亿元的百分之五")]
    ['2023年', '1500000000000元', '1/20']
    """
    found: list[tuple[Number, Value | None]] = []
    end = 0
    for start in _MAY_BEGIN.finditer(text):  # three times as fast as _NUMBER.finditer
        match = _NUMBER.match(text, start.start()) if start.start() >= end else None
        if match:
            found.extend(_read(match))
            end = match.end()
    return [number for number, _ in _with_the_units_of_ranges(text, found)]


def value_of(numeral: str) -> Value:
    """The value of Arabic, Chinese or mixed numerals: 32, 三十二, 3万5千, 二〇二三, 一百二 (which is 120).

    Raises:
        ValueError: not a numeral.
    """
    text = numeral.replace(",", "").replace("廿", "二十").replace("卅", "三十")
    if text.isdecimal():
        return int(text)
    if not text:
        raise ValueError(numeral)
    if re.fullmatch(rf"[{_WRITTEN}]+", text):
        return int("".join(str(_DIGITS[char]) for char in text))
    if "点" in text:
        whole, _, rest = text.partition("点")
        decimals = rest.rstrip("万亿")
        scale = rest[len(decimals) :]
        value = value_of(whole) + Fraction(int("".join(str(_DIGITS[c]) for c in decimals)), 10 ** len(decimals))
        return value * (value_of("一" + scale) if scale else 1)
    return _sum(text)


def _sum(text: str) -> Value:
    """By scales: digits times 十百千 make a section, sections times 万亿 the number."""
    total: Value = 0
    section: Value = 0
    digit: Value = 0
    seen = False  # whether a digit stands before the scale: 十二 has none, and means one
    last_scale = 1
    smallest = 10**4  # the last of 十百千 in this section
    used: set[int] = set()
    for piece in re.findall(rf"\d+(?:\.\d+)?|[{_WRITTEN}]|[{_SCALES}]", text):
        if piece in _DIGITS:
            digit, seen = _DIGITS[piece], True
            last_scale = 1 if digit == 0 else last_scale
        elif piece in _SMALL:
            if section and smallest < _SMALL[piece]:  # 三十二千(克): of all before it
                section = (section + digit) * _SMALL[piece]
            else:
                section += (digit if seen else 1) * _SMALL[piece]
            digit, seen, last_scale = 0, False, _SMALL[piece]
            smallest = last_scale
        elif piece in _LARGE:
            section += digit
            scale = _LARGE[piece]
            if section == 0 and total == 0:
                total = 0 if seen else scale
            elif section == 0 or scale in used or (total and total < scale):
                total = (total + section) * scale  # 万亿, 二万三千八百万: the scale of all before it
            else:
                total += section * scale
            used.add(scale)
            section, digit, seen, last_scale, smallest = 0, 0, False, scale, 10**4
        else:
            digit, seen = (int(piece) if piece.isdecimal() else Fraction(piece)), True
            last_scale = 1
    if seen and last_scale > 10 and digit < 10:
        digit *= last_scale // 10
    return total + section + digit


def _read(match: re.Match[str]) -> Iterator[tuple[Number, Value | None]]:
    start, end = match.span()
    if match["doc"]:
        yield Number(start, end, f"〔{value_of(match['doc_year'])}〕{value_of(match['doc_n'])}号"), None
    elif match["iso"]:
        for name, unit in (("y", "年"), ("m", "月"), ("d", "日")):
            yield Number(*match.span(name), f"{int(match[name])}{unit}"), None
    elif match["part"]:
        yield Number(start, end, _ratio(Fraction(value_of(match["share"])) / (value_of(match["whole"]) or 1))), None
    elif match["percent"]:
        yield Number(start, end, _ratio(Fraction(value_of(match["p"])) / (100 if match["sign"] == "%" else 1000))), None
    elif match["slash"]:
        yield Number(start, end, _ratio(Fraction(int(match["over"]), int(match["under"]) or 1))), None
    elif match["tenths"]:
        yield Number(start, end, _ratio(Fraction(value_of(match["t"])) / 10)), None
    elif match["half"]:
        unit = _UNITS[match["half_unit"]][0]
        yield Number(start, end, "6个月" if unit == "年" else f"1/2{unit}"), None
    elif match["ordinal"]:
        yield Number(start, end, f"第{value_of(match['o'])}"), None
    else:
        value = value_of(match["value"])
        if match["and_a_half"] or match["half_after"]:
            value += Fraction(1, 2)
        unit, factor = _UNITS.get(match["unit"] or "", ("", 1))
        if not unit and match.string[start - 1 : start] == "月" and match.string[end : end + 1] == "号":
            unit, end = "日", end + 1  # 5月1号
        yield Number(start, end, f"{value * factor}{unit}"), None if unit else value


def _ratio(value: Value) -> str:
    """With its slash even for 100 %, so that it is never taken for a count."""
    return f"{value.numerator}/{value.denominator}"


def _with_the_units_of_ranges(text: str, found: list[tuple[Number, Value | None]]) -> list[tuple[Number, Value | None]]:
    """3至5年: the 3 is years, too. 3～5万元: both are ten thousands."""
    for i in range(len(found) - 2, -1, -1):
        (number, bare), (after, _) = found[i], found[i + 1]
        if bare is None or not _RANGE.fullmatch(text[number.end : after.start]):
            continue
        if "/" in after.key and text[after.end - 1] in "%‰":
            found[i] = (
                number._replace(key=_ratio(Fraction(bare) / (100 if text[after.end - 1] == "%" else 1000))),
                None,
            )
            continue
        match = re.search(rf"([万亿]+)?({_UNIT})?$", text[after.start : after.end])
        if match and (match[1] or match[2]):
            unit, factor = _UNITS.get(match[2] or "", ("", 1))
            scale = value_of("一" + match[1]) if match[1] and bare < 10**4 else 1
            found[i] = (number._replace(key=f"{bare * scale * factor}{unit}"), None)
    return found
