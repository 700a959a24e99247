"""True sentences in other clothes, made from a passage. Nothing here uses rag_server's checks."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from tools.evaluation.numerals import chinese, chinese_digits, read_integer

Dice = random.Random


@dataclass(frozen=True)
class Source:
    """One passage; `answers` are spans of it that answer some question."""

    id: str
    title: str
    text: str
    doc_no: str | None
    answers: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Those of a usable length, with their full stops."""
        found = re.findall(r"[^。！？\n]+[。！？]", self.text)
        return [s.strip() for s in found if 12 <= len(s) <= 160]


Maker = Callable[[Source, str, Dice], str | None]
"""Makes a sentence from one of the passage's; None when this one does not lend itself to it."""

LEAD_INS = (
    *(
        "根据材料，",
        "根据《{title}》，",
        "依据《{title}》的规定，",
        "按照《{title}》有关规定，",
        "综上所述，",
        "因此，",
        "据此，",
    ),
    *(
        "根据上述材料可知，",
        "根据参考资料，",
        "材料显示，",
        "文中提到，",
        "据材料介绍，",
        "综上，",
        "依据提供的资料，",
        "答：",
    ),
    *(
        "由材料可知，",
        "根据相关规定，",
        "具体来说，",
        "参考资料指出：",
        "《{title}》规定，",
        "从材料可以看出，",
        "总的来说，",
    ),
    *("根据所给材料的内容，", "依照有关规定，", "《{title}》中提到，", "首先，", "根据资料[{n}]，", "简而言之，"),
    *("材料中明确指出，", "经查阅资料，", "针对您的问题，"),
)
HANZI = "零〇一二三四五六七八九十百千"
_COUNTED = (
    "年|个月|日|天|元|万元|亿元|人|名|个|条|家|公里|倍|岁|届|次|位|张|部|集|座|所|章|款|项|层|米|平方公里|小时|分钟"
)
_ARTICLE = re.compile(r"第([一二三四五六七八九十百千零〇]+)条\s*")
_PAIRS = (("（", "）"), ("“", "”"), ("《", "》"))


def verbatim(source: Source, sentence: str, dice: Dice) -> str | None:
    """As it stands."""
    del source, dice
    return sentence


def led_in(source: Source, sentence: str, dice: Dice) -> str | None:
    """With an opening that claims nothing."""
    return dice.choice(LEAD_INS).replace("{title}", source.title) + sentence


def clause_dropped(source: Source, sentence: str, dice: Dice) -> str | None:
    """Without one clause, or two neighbours between the same semicolons."""
    del source
    clauses = clauses_of(sentence[:-1])
    many = 1 if len(clauses) < 4 or dice.random() < 0.7 else 2
    if len(clauses) <= many or not _paired(sentence):
        return None
    at = dice.randrange(len(clauses) - many + 1)
    if many > 1 and "；" in "".join(clauses[max(0, at - 1) : at + many]):
        return None
    kept = "".join(clauses[:at] + clauses[at + many :]).rstrip("，；")
    return kept + sentence[-1] if len(kept) >= 8 and _paired(kept) else None


def numerals_rewritten(source: Source, sentence: str, dice: Dice) -> str | None:
    """Every number in another spelling."""
    del source
    changed = sentence
    for pattern, rewrite in _SPELLINGS:
        changed = re.sub(pattern, partial(rewrite, dice=dice), changed)
    return changed if changed != sentence else None


def doc_no_spelt(source: Source, sentence: str, dice: Dice) -> str | None:
    """Led in with its 文号 in one of the spellings."""
    match = re.fullmatch(r"(.+)〔(\d+)〕(\d+)号", source.doc_no or "")
    return with_doc_no(source.title, (match[1], match[2], match[3]), dice) + sentence if match else None


def article_spelt(source: Source, sentence: str, dice: Dice) -> str | None:
    """Led in with the article that the passage is."""
    match = _ARTICLE.match(source.text)
    return with_article(source.title, read_integer(match[1]), sentence, dice) if match else None


def with_doc_no(title: str, parts: tuple[str, str, str], dice: Dice) -> str:
    """An opening with a 文号 of these parts: issuer, year, number."""
    issuer, year, n = parts
    left, right = dice.choice(("〔〕", "[]", "（）", "()", "【】", "［］", "〔〕"))
    number = f"{issuer}{left}{year}{right}{dice.choice(('', '', '第'))}{n}号"
    forms = ("根据《{}》（{}），", "{1}规定，", "按照{1}文件的规定，", "《{}》（{}）规定：")
    return dice.choice(forms).format(title, number)


def with_article(title: str, n: int, sentence: str, dice: Dice) -> str:
    """The sentence behind an opening with this article."""
    shown = chinese(n) if dice.random() < 0.5 else str(n)
    begins, ends = dice.choice(("根据", "依据", "按照", "")), dice.choice(("规定，", "的规定，", "，"))
    return f"{begins}《{title}》第{shown}条{ends}{_ARTICLE.sub('', sentence, count=1)}"


def clauses_of(text: str) -> list[str]:
    """Its clauses, each with the mark behind it."""
    return re.findall(r"[^，；]+[，；]?", text)


def _paired(text: str) -> bool:
    return all(text.count(a) == text.count(b) for a, b in _PAIRS)


def _date(match: re.Match[str], dice: Dice) -> str:
    y, m, d = (int(group) for group in match.groups())
    hanzi = f"{chinese_digits(y)}年{chinese(m)}月{chinese(d)}日"
    return dice.choice((f"{y}-{m:02}-{d:02}", hanzi, f"{y}年{m:02}月{d:02}日", f"{y}/{m}/{d}"))


def _percent(match: re.Match[str], dice: Dice) -> str:
    del dice
    return f"百分之{chinese(int(match['n']))}" if match["n"].isdigit() else match.group()


def _as_percent(match: re.Match[str], dice: Dice) -> str:
    del dice
    return f"{read_integer(match['n'])}%"


def _full_width(match: re.Match[str], dice: Dice) -> str:
    del dice
    return "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in match.group())


def _to_hanzi(match: re.Match[str], dice: Dice) -> str:
    value = int(match["n"])
    if match["unit"] == "年" and value > 1000:
        return chinese_digits(value) + match["unit"] if dice.random() < 0.7 else match.group()
    return (chinese(value) if value < 10**8 else match["n"]) + match["unit"]


def _to_digits(match: re.Match[str], dice: Dice) -> str:
    del dice
    return f"{match['pre'] or ''}{read_integer(match['n'])}{match['unit']}"


def _larger(match: re.Match[str], dice: Dice) -> str:
    del dice
    return f"{float(Fraction(match['n']) * 10000):.10g}{'万' if match['scale'] == '亿' else ''}"


_SPELLINGS: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})日", _date),
    (r"(?<![\d,.])(?P<n>\d+(?:\.\d+)?)(?P<scale>[亿万])(?=元|人|平方|吨|美元|$)", _larger),
    (r"(?<![\d,.第])(?P<n>\d+(?:\.\d+)?)[%％]", _percent),
    (rf"百分之(?P<n>[{HANZI}]+)", _as_percent),
    (
        rf"(?P<pre>第)?(?P<n>(?<![{HANZI}万亿几数分之两])[{HANZI}]*[一二三四五六七八九十百千](?![{HANZI}万亿分几数多余]))"
        rf"(?P<unit>{_COUNTED})(?!些|定|般)",
        _to_digits,
    ),
    (rf"(?<![\d,.\-/〔（第年月])(?P<n>[1-9]\d*)(?P<unit>{_COUNTED})(?!\d)", _to_hanzi),
    (r"(?<![\d,.〔\-/])\d{2,}(?![\d,〕\-/.])", _full_width),
)
