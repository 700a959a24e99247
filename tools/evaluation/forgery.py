"""Sentences made from passages: true ones in other clothes, and corrupted ones. Nothing here uses rag_server's checks."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import rjieba

from tools.evaluation.numerals import chinese, chinese_digits, read_integer

Dice = random.Random


@dataclass(frozen=True)
class Source:
    """One passage and what may be put in the place of something in it."""

    id: str
    title: str
    text: str
    doc_no: str | None
    answers: tuple[str, ...] = ()
    """Spans of the text that answer some question."""

    @property
    def sentences(self) -> list[str]:
        """Those of a usable length, with their full stops."""
        found = re.findall(r"[^。！？\n]+[。！？]", self.text)
        return [s.strip() for s in found if 12 <= len(s) <= 160]


@dataclass(frozen=True)
class Made:
    """A sentence without its mark, and the kind it is of."""

    kind: str
    text: str


# True ones ------------------------------------------------------------------------------------------------------------

LEAD_INS = (
    "根据材料，", "根据《{title}》，", "依据《{title}》的规定，", "按照《{title}》有关规定，", "综上所述，", "根据上述材料可知，", "根据参考资料，",
    "材料显示，", "文中提到，", "据材料介绍，", "综上，", "依据提供的资料，", "由材料可知，", "根据相关规定，", "具体来说，", "参考资料指出：",
    "《{title}》规定，", "从材料可以看出，", "总的来说，", "因此，", "根据所给材料的内容，", "据此，", "依照有关规定，", "《{title}》中提到，",
    "首先，", "答：", "根据资料[{n}]，", "简而言之，", "材料中明确指出，", "经查阅资料，", "针对您的问题，",
)  # fmt: skip


def verbatim(source: Source, sentence: str, dice: Dice) -> str | None:
    """As it stands."""
    del source, dice
    return sentence


def led_in(source: Source, sentence: str, dice: Dice) -> str | None:
    """With an opening that claims nothing."""
    return dice.choice(LEAD_INS).replace("{title}", source.title) + sentence


def clause_dropped(source: Source, sentence: str, dice: Dice) -> str | None:
    """Without one clause, or two that are neighbours."""
    del source
    body, end = sentence[:-1], sentence[-1]
    clauses = re.findall(r"[^，；]+[，；]?", body)
    if len(clauses) < 2 or any(body.count(a) != body.count(b) for a, b in ("（）", "“”", "《》")):
        return None
    many = 1 if len(clauses) < 4 or dice.random() < 0.7 else 2
    at = dice.randrange(len(clauses) - many + 1)
    kept = "".join(clauses[:at] + clauses[at + many :]).rstrip("，；")
    usable = len(kept) >= 8 and all(kept.count(a) == kept.count(b) for a, b in ("（）", "“”", "《》"))
    return kept + end if usable else None


def numerals_rewritten(source: Source, sentence: str, dice: Dice) -> str | None:
    """Every number in another spelling."""
    del source
    changed = sentence
    for pattern, rewrite in _SPELLINGS:
        changed = re.sub(pattern, lambda match, how=rewrite: how(match, dice), changed)
    return changed if changed != sentence else None


_HZ = "零〇一二三四五六七八九十百千"
_COUNTED = "年|个月|日|天|元|万元|亿元|人|名|个|条|家|公里|倍|岁|届|次|位|张|部|集|座|所|章|款|项|层|米|平方公里|小时|分钟"


def _date(match: re.Match[str], dice: Dice) -> str:
    y, m, d = (int(group) for group in match.groups())
    styles = (f"{y}-{m:02}-{d:02}", f"{chinese_digits(y)}年{chinese(m)}月{chinese(d)}日", f"{y}年{m:02}月{d:02}日", f"{y}/{m}/{d}")
    return dice.choice(styles)


def _full_width(match: re.Match[str], dice: Dice) -> str:
    del dice
    return "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in match.group())


def _arabic_to_chinese(match: re.Match[str], dice: Dice) -> str:
    value = int(match["n"])
    if match["unit"] == "年" and value > 1000:
        return chinese_digits(value) + match["unit"] if dice.random() < 0.7 else match.group()
    return (chinese(value) if value < 10**8 else match["n"]) + match["unit"]


def _chinese_to_arabic(match: re.Match[str], dice: Dice) -> str:
    del dice
    value = read_integer(match["n"])
    return f"{match['pre'] or ''}{value}{match['unit']}"


def _big(match: re.Match[str], dice: Dice) -> str:
    del dice
    value, scale = Fraction(match["n"]), match["scale"]
    return f"{float(value * 10000):.10g}万" if scale == "亿" else f"{float(value * 10000):.10g}"


_SPELLINGS: tuple[tuple[str, Callable[[re.Match[str], Dice], str]], ...] = (
    (r"(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})日", _date),
    (r"(?P<n>\d+(?:\.\d+)?)(?P<scale>[亿万])(?=元|人|平方|吨|美元|$)", _big),
    (r"(?<![\d.第])(?P<n>\d+(?:\.\d+)?)[%％]", lambda m, d: f"百分之{chinese(int(m['n']))}" if m["n"].isdigit() else m.group()),
    (rf"百分之(?P<n>[{_HZ}]+)", lambda m, d: f"{read_integer(m['n'])}%"),
    (rf"(?P<pre>第)?(?P<n>(?<![{_HZ}万亿几数分之])[{_HZ}]*[一二三四五六七八九十百千](?![{_HZ}万亿分几数多余]))(?P<unit>{_COUNTED})(?!些|定|般)", _chinese_to_arabic),
    (rf"(?<![\d.\-/〔（第年月])(?P<n>[1-9]\d*)(?P<unit>{_COUNTED})(?!\d)", _arabic_to_chinese),
    (r"(?<![\d.〔\-/])\d{2,}(?![\d〕\-/.])", _full_width),
)  # fmt: skip

# Corrupted ones -------------------------------------------------------------------------------------------------------

_NUMERAL = re.compile(rf"(?<![{_HZ}\d.万亿几数分之第点])(?:\d+(?:\.\d+)?|[{_HZ}]*[二三四五六七八九十百千][{_HZ}]*)(?=[个名位人元万亿年月日天条次倍岁家%％份级层项部集座所米公里张小届])")
_DATE = re.compile(r"(?<!\d)\d{2,4}年(?:\d{1,2}月)?(?:\d{1,2}日)?|\d{1,2}月\d{1,2}日|[一二][〇零一二三四五六七八九]{3}年|\d{1,2}世纪")


def number_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """A number with another value."""
    del source
    found = [m for m in _NUMERAL.finditer(sentence) if not any(d.start() <= m.start() < d.end() for d in _DATE.finditer(sentence))]
    return _replaced(sentence, dice.choice(found), _another_number(dice.choice(found).group(), dice)) if len(found) == 1 else (
        (lambda m: _replaced(sentence, m, _another_number(m.group(), dice)))(dice.choice(found)) if found else None
    )


def date_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """Another year, month or day."""
    del source
    found = list(_DATE.finditer(sentence))
    if not found:
        return None
    match = dice.choice(found)
    parts = list(re.finditer(r"\d+|[〇零一二三四五六七八九]{4}", match.group()))
    part = dice.choice(parts)
    new = part.group()
    while new == part.group():
        if part.group().isdigit():
            value, unit = int(part.group()), match.group()[part.end() : part.end() + 1]
            span = {"月": (1, 12), "日": (1, 28)}.get(unit, (max(1, value - 30), value + 30))
            new = str(dice.randint(*span))
        else:
            new = chinese_digits(read_integer("".join(part.group())) if False else dice.randint(1901, 2024))
    changed = match.group()[: part.start()] + new + match.group()[part.end() :]
    return _replaced(sentence, match, changed)


def _another_number(numeral: str, dice: Dice) -> str:
    if "." in numeral:
        return f"{float(numeral) + dice.choice((-0.1, 0.1, 1, 10)):.{len(numeral.partition('.')[2])}f}"
    value = int(numeral) if numeral.isdigit() else read_integer(numeral)
    new = value
    while new == value or new < 1:
        new = dice.choice((value + 1, value - 1, value * 2, value * 10, value + dice.randint(1, 30), value // 2, value // 10))
    if numeral.isdigit():
        return str(new) if dice.random() < 0.8 else chinese(new) if new < 10**4 else str(new)
    return chinese(new) if dice.random() < 0.7 else str(new)


_UNITS = {
    "万": "亿", "亿": "万", "个工作日": "日", "日": "个工作日", "天": "个工作日", "年": "个月", "个月": "年", "月": "年", "元": "万元", "万元": "元", "亿元": "万元",
    "公里": "米", "米": "公里", "平方公里": "公顷", "％": "‰", "%": "‰", "小时": "分钟", "分钟": "小时", "吨": "公斤", "公斤": "吨", "公顷": "亩", "美元": "元",
    "倍": "%", "周": "个月", "岁": "个月", "亩": "公顷",
}  # fmt: skip


def unit_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """A number of something else: 日 for 工作日, 亿 for 万."""
    del source
    units = "|".join(sorted(_UNITS, key=len, reverse=True))
    found = list(re.finditer(rf"(?<=[\d{_HZ}])(?P<u>{units})(?=[^月日\d度代个间]|$)", sentence))
    found = [m for m in found if not (m["u"] in ("月", "日", "年") and re.search(r"年$|月\d*$|\d{3}$|[〇零一二三四五六七八九]{4}$", sentence[: m.start()]))]
    found = [m for m in found if not re.search(r"[第万一统同单唯]$|第[\d一二三四五六七八九十]+$", sentence[: m.start()][-3:]) or m["u"] in "万亿"]
    if not found:
        return None
    match = dice.choice(found)
    return _replaced(sentence, match, _UNITS[match.group()])


_MODALS = ("应当", "必须", "可以", "不得")
_SWAPS = (
    ("不得", ("可以", "应当", "必须", "得", "")), ("可以", ("不得", "应当", "必须", "不可以")), ("应当", ("可以", "不得", "不应当", "无需", "必须")),
    ("必须", ("可以", "不得", "无须", "不必")), ("禁止", ("允许", "可以", "应当")), ("严禁", ("允许", "鼓励")), ("没有", ("有",)), ("未经", ("经",)), ("不", ("",)),
    ("未", ("", "已")), ("无", ("有",)), ("无需", ("必须", "需")), ("有权", ("无权",)), ("能够", ("不能",)), ("除外", ("在内",)), ("以外", ("以内",)), ("非", ("",)),
    ("需要", ("不需要", "无需")), ("只能", ("不能", "可以")), ("允许", ("禁止", "不允许")),
)  # fmt: skip
_INSERTIONS = (
    (re.compile(r"是(?=[^否非不])"), "不是"), (re.compile(r"(?<![没具所享拥只含])有(?=[^关效权限时些])"), "没有"), (re.compile(r"位于"), "不位于"), (re.compile(r"属于"), "不属于"),
    (re.compile(r"由(?=.{2,12}(?:负责|批准|规定|制定|执行))"), "不由"), (re.compile(r"会(?=[将被使导])"), "不会"), (re.compile(r"适用(?=于|本|《)"), "不适用"),
    (re.compile(r"包括"), "不包括"), (re.compile(r"曾(?=[在任获被经])"), "未曾"), (re.compile(r"(?<=[，])被(?=[^告害])"), "未被"), (re.compile(r"成为"), "未成为"),
    (re.compile(r"(?<![不未])能(?=[在使够让把将被])"), "不能"), (re.compile(r"获得"), "未获得"), (re.compile(r"担任"), "没有担任"), (re.compile(r"进行"), "不进行"), (re.compile(r"参加"), "没有参加"),
)  # fmt: skip
_FIXED = re.compile(r"不断|不仅|不但|不论|不管|无论|不同|非常|未来|没收|不动产|不过|无线|不久|不少|不如|不幸|非洲|无限|不足|不锈|不时|不只|无关|未知|无法")


def negated(source: Source, sentence: str, dice: Dice) -> str | None:
    """不 put in, taken out, or 不得, 可以 and 应当 exchanged."""
    del source
    found = []
    for word, others in _SWAPS:
        for match in re.finditer(word, sentence):
            inside = any(f.start() <= match.start() < f.end() for f in _FIXED.finditer(sentence))
            longer = any(len(w) > len(word) and word in w and sentence[max(0, match.start() - 1) : match.end() + 1].find(w) >= 0 for w, _ in _SWAPS)
            if not inside and not longer:
                found.append((match, dice.choice(others)))
    for pattern, new in _INSERTIONS:
        found += [(match, new) for match in pattern.finditer(sentence)]
    if not found:
        return None
    match, new = dice.choice(found)
    return _replaced(sentence, match, new)


def entity_swapped(source: Source, sentence: str, dice: Dice, pool: Sequence[str], pool_tags: dict[str, list[str]]) -> str | None:
    """A name, body, place or answer replaced by another one; or two in the sentence exchanged."""
    names = [(word, tag) for word, tag in rjieba.tag(sentence) if tag in ("nr", "ns", "nt", "nz", "nrt") and len(word) > 1 and word.isalpha()]
    names += [(role, "role") for role in pool_tags["role"] if role in sentence]
    names += [(span, "answer") for span in source.answers if 2 <= len(span) <= 12 and span in sentence and not re.search(r"[\d，。]", span)]
    if not names:
        return None
    word, tag = dice.choice(names)
    same = [other for other, kind in names if kind == tag and other != word and other not in word and word not in other]
    if same and dice.random() < 0.3:
        other = dice.choice(same)
        swapped = sentence.replace(word, "\0").replace(other, word).replace("\0", other)
        return swapped if swapped != sentence else None
    inside = [o for o in pool_tags[tag] if o in source.text and o not in sentence and o not in word and word not in o]
    choices = inside if inside and dice.random() < 0.3 else pool_tags[tag]
    other = next((o for o in (dice.choice(choices) for _ in range(20)) if o not in word and word not in o and o not in sentence), None)
    return sentence.replace(word, other, 1) if other else None


def spliced(source: Source, sentence: str, dice: Dice) -> str | None:
    """The beginning of one sentence with the end of another one of the passage."""
    others = [s for s in source.sentences if s != sentence]
    if not others:
        return None
    other = dice.choice(others)
    heads, tails = re.findall(r"[^，；]+[，；]?", sentence[:-1]), re.findall(r"[^，；]+[，；]?", other)
    if len(heads) >= 2 and len(tails) >= 2 and dice.random() < 0.8:
        cut, start = dice.randint(1, len(heads) - 1), dice.randint(1, len(tails) - 1)
        made = "".join(heads[:cut]).rstrip("，；") + "，" + "".join(tails[start:])
    else:
        words, more = rjieba.cut(sentence[:-1]), rjieba.cut(other)
        if len(words) < 6 or len(more) < 6:
            return None
        made = "".join(words[: len(words) // 2]).rstrip("，；、") + "".join(more[len(more) // 2 :]).lstrip("，；、")
    return made if len(made) >= 10 else None


def doc_no_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """A 文号 with another year, number or issuer."""
    match = re.fullmatch(r"(.+)〔(\d+)〕(\d+)号", source.doc_no or "")
    if not match:
        return None
    issuer, year, n = match.groups()
    which = dice.randrange(3)
    if which == 0:
        year = str(int(year) + dice.choice((-3, -2, -1, 1, 2)))
    elif which == 1:
        n = str(int(n) + dice.choice((-1, 1, 10, 100)) if int(n) > 1 else int(n) + 1)
    else:
        issuer = dice.choice([i for i in ISSUERS if i != issuer])
    return _with_doc_no(source.title, issuer, year, n, dice) + sentence


ISSUERS = ("财预", "财库", "国发", "国办发", "财综", "发改投资", "银发", "财税", "建房", "人社部发")


def doc_no_spelt(source: Source, sentence: str, dice: Dice) -> str | None:
    """Its 文号 in one of the spellings."""
    match = re.fullmatch(r"(.+)〔(\d+)〕(\d+)号", source.doc_no or "")
    return _with_doc_no(source.title, *match.groups(), dice) + sentence if match else None


def _with_doc_no(title: str, issuer: str, year: str, n: str, dice: Dice) -> str:
    left, right = dice.choice(("〔〕", "[]", "（）", "()", "【】", "［］", "〔〕"))
    number = f"{issuer}{left}{year}{right}{dice.choice(('', '', '第'))}{n}号"
    return dice.choice((f"根据《{title}》（{number}），", f"{number}规定，", f"按照{number}文件的规定，", f"《{title}》（{number}）规定："))


def article_changed(source: Source, sentence: str, dice: Dice) -> str | None:
    """Another article than the passage is."""
    match = re.match(r"第([一二三四五六七八九十百千零〇]+)条", source.text)
    if not match:
        return None
    n = read_integer(match[1]) + dice.choice((-2, -1, 1, 2, 10))
    shown = chinese(n) if dice.random() < 0.5 else str(n)
    return None if n < 1 else f"根据《{source.title}》第{shown}条的规定，{_without_article(sentence)}"


def article_spelt(source: Source, sentence: str, dice: Dice) -> str | None:
    """Led in with the article that the passage is."""
    match = re.match(r"第([一二三四五六七八九十百千零〇]+)条", source.text)
    if not match:
        return None
    shown = match[1] if dice.random() < 0.5 else str(read_integer(match[1]))
    return f"{dice.choice(('根据', '依据', '按照', ''))}《{source.title}》第{shown}条{dice.choice(('规定，', '的规定，', '，'))}{_without_article(sentence)}"


def _without_article(sentence: str) -> str:
    return re.sub(r"^第[一二三四五六七八九十百千零〇]+条\s*", "", sentence)


def _replaced(sentence: str, match: re.Match[str], new: str) -> str:
    return sentence[: match.start()] + new + sentence[match.end() :]


def renamed(source: Source, **changes: str) -> Source:
    """A source with other facts."""
    return replace(source, **changes)  # type: ignore[arg-type]
