"""A follow-up question completed without a model: what it leaves out is taken from an earlier turn. Pure functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_server.followups.leaning import ACTOR, LEAD_ZH, PRONOUN_EN, PRONOUN_ZH, own_words

_ASKING = re.compile(
    r"请问|是?什么时候|什么是|是什么|是指什么|指什么|什么叫|何为|哪些|哪个|哪年|哪里|哪一[级条天年项种]|多少|多久|多长(?:时间)?|何时|什么"
    r"|如何|怎么样|怎么|怎样|为什么|谁|是否|吗|呢|[？?。！!，,]"
)
_PREDICATE = re.compile(
    r"可不可以|能不能|会不会|要不要|应?该不该|应不应[该当]|是不是|有没有|需不需要"
    r"|可以|可否|应当|应该|能否|不能|能|必须|不得|需要|需|应|由|通过|用于|用途|包括|分为|有|是|自|从|在|按|为|归|要|属于|怎"
)
_NO_FRAGMENT = re.compile(
    _PREDICATE.pattern
    + r"|什么|哪|谁|几|多少|多久|多长|咋|吗$|如果|要是|假如|没|不|了|后$|展开|具体|举例|介绍|详细|说|讲|[，,\s]"
)
"""A clause, not a thing to be asked about instead of another."""
_NAMED = re.compile(r"《[^》]+》|[一-鿿]{2,6}[〔\[（(【]\d{4}[〕\]）)】]\s*\d+\s*号")
_TRAILING_VERB = re.compile(r"(?:开始)?(?:施行|实施|生效|印发|公布|发布|执行)$")
_HAN = re.compile(r"[一-鿿]")
_WHY = re.compile(r"(?:这是)?(?:为什么|为何|为啥)(?:不?(?:可以|能|行|允许))?[呢啊]?")
_KINDS = tuple(
    map(
        re.compile,
        (
            r"\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?",
            r"第?[一二三四五六七八九十百零\d]+(?=条)",
            r"\d[\d.]*\s*[%％]|百分之[一二三四五六七八九十]+",
            r"\d[\d.]*(?=分)",
            r"[ⅠⅡⅢⅣ]级|特大|重大|较大",
            r"(?:[一-鿿]{2,6}[〔\[（(]\d{4}[〕\]）)])?\d+号",
        ),
    )
)
"""Things that a follow-up exchanges for another of their kind: 2024年的…？ 2025年呢？"""
_CONTRASTS = tuple(
    line.split()
    for line in (
        "一般 专项",
        "本金 利息",
        "中央 地方",
        "预算 决算",
        "收入 支出",
        "限额 余额",
        "新增 再融资 存量",
        "正面 负面",
    )
)
"""Words of which a follow-up names one where the question before named another."""
_RETURNS = re.compile(r"(?:刚才|前面|之前|上面|最初|一开始|回到)")
_REPORTED = re.compile(
    r"^(?:[一-鿿]{0,10}(?:问|咨询|请教)(?:一下|下)?[：:]|(?:我们?|本人)?(?:想|要)(?:了解|知道|确认|弄清|问|咨询)(?:一下|下|清楚)?)[，,：:]?"
)
"""Says who asks, not what about."""
_SHORT_NUMBER = re.compile(r"(?<![\d〕\]）)】])(\d+)号(?:文件?)?(?!楼|线|院|机)")
_AND = re.compile(r"([一-鿿〔〕\d]{2,12}?)(?:和|与|跟|同|、)([一-鿿〔〕\d]{2,12}?)(?=的|分别|有|各|之间|在|是|应|$)")
_ABOUT = re.compile(r"(对|给|向)(?=[一-鿿]{2})")
"""那对考核呢: another one is asked about in the same respect."""
LEAST_TOPIC = 6
"""Characters of its own that an earlier question needs for being a topic alone. R@2 is flat from 4 to 6."""
COMPLETE = 4
"""And a question whose 后者 has got its name, for needing nothing else of the earlier one."""
_LONGEST_FRAGMENT = 12
"""Characters."""


@dataclass(frozen=True)
class Earlier:
    """An answered turn: its question in full form, and what was answered."""

    question: str
    answer: str


def pick_earlier(question: str, turns: Sequence[Earlier]) -> Earlier:
    """The turn that `question` goes on from, of `turns`, oldest first, not empty: the last one, unless the question
    names more of what an earlier one was about."""
    numbered = [turn for turn in turns if _full_number(question, turn.question) != question]
    if numbered:
        return numbered[-1]
    mine = pairs(own_words(question))
    shared = [sum([pair in turn.question for pair in mine]) for turn in turns]
    more = 1 if _RETURNS.search(question) else 2
    return turns[max(range(len(turns)), key=lambda i: (shared[i] >= shared[-1] + more and shared[i], i))]


def with_topics(turns: Sequence[Earlier]) -> list[Earlier]:
    """`turns`, oldest first; one whose question says little itself gets the topic of the one before it.

    >>> bare = Earlier("现行的从哪天起施行？", "…")
    >>> with_topics([Earlier("周转金的额度上限是多少？", "…"), bare])[1].question
    '周转金，现行的从哪天起施行？'
    """
    told: list[Earlier] = []
    for turn in turns:
        if told and len(own_words(turn.question)) < LEAST_TOPIC:
            turn = replace(turn, question=f"{topic_of(told[-1].question)}，{turn.question}")  # noqa: PLW2901
        told.append(turn)
    return told


def carry_topic(question: str, previous: str, compared: str = "") -> str:
    """`question` completed with what `previous`, a question in its full form, is about. `compared`: the question about
    the two things that 前者 and 后者 are, where that is another one.

    >>> carry_topic("它可以用于经常性支出吗？", "什么是政府专项债务？")
    '政府专项债务可以用于经常性支出吗？'
    >>> carry_topic("那一般债务呢？", "政府专项债务应当通过什么偿还？")
    '一般债务应当通过什么偿还？'
    >>> carry_topic("可以延长吗？", "棚改专项债券期限最长多少年？")
    '棚改专项债券期限最长年，可以延长吗？'
    """
    if not _HAN.search(question) and not _HAN.search(previous):
        return _carry_english(question, previous)
    rest = LEAD_ZH.sub("", question.strip()) or question.strip()
    asked = rest.rstrip("？?。！!，, ")
    if _WHY.fullmatch(asked):
        return previous if previous.startswith(("为什么", "为何")) else "为什么" + previous
    named = _full_number(rest, previous)
    if named != rest:
        return named
    named = name_sides(rest, compared or previous)
    asked = named.rstrip("？?。！!，, ")
    if named != rest and len(own_words(named)) >= COMPLETE and not asked.endswith("呢"):
        return named
    rest = named
    topic = topic_of(previous) if _HAN.search(previous) else _topic_en(previous)
    pronoun = PRONOUN_ZH.search(rest)
    if pronoun and topic not in rest:
        return rest[: pronoun.start()] + topic + rest[pronoun.end() :]
    fragment = re.sub(r"的?(?:呢|那)?$", "", asked)
    if fragment and len(fragment) <= _LONGEST_FRAGMENT and not _NO_FRAGMENT.search(fragment):
        exchanged = _exchange(fragment, previous, topic)
        if exchanged:
            return exchanged
    return f"{_plain(previous)}，{rest}"


def topic_of(question: str) -> str:
    """What a question is about: its words before the predicate, question words left out.

    >>> topic_of("专项债收入可以用于经常性支出吗？")
    '专项债收入'
    """
    named = _NAMED.search(question)
    if named:
        return named[0]
    plain = _plain(question)
    parts = [_TRAILING_VERB.sub("", part.strip("的 ")) for part in _PREDICATE.split(plain)]
    subject = next((part for part in parts if len(own_words(part)) >= 2), plain or question)
    owner, _, owned = subject.rpartition("的")
    return owner if owner and not own_words(owned) else subject


def _plain(question: str) -> str:
    """A question as a mere mention of its subject: no question words, which would ask for the wrong thing."""
    return _ASKING.sub("", _REPORTED.sub("", LEAD_ZH.sub("", question.strip()))).strip()


def _full_number(question: str, previous: str) -> str:
    """50号文 by its full 文号, when the question before names it so."""
    shorts = list(_SHORT_NUMBER.finditer(question))
    for full in (named[0] for named in _NAMED.finditer(previous)) if shorts else ():
        short = next((one for one in shorts if re.search(rf"\D{one[1]}\s*号$", full)), None)
        if short:
            return question[: short.start()] + full + question[short.end() :]
    return question


def name_sides(question: str, previous: str) -> str:
    """前者 and 后者 by their names, where `previous` asks about two things."""
    if "前者" not in question and "后者" not in question:
        return question
    sides = _AND.search(_plain(previous))
    if not sides:
        return question
    return question.replace("前者", sides[1]).replace("后者", sides[2])


def _exchange(fragment: str, previous: str, topic: str) -> str | None:
    """`previous` asked of `fragment` instead, or None when it is not clear what it takes the place of."""
    for kind in _KINDS:
        new, old = kind.search(fragment), kind.search(previous)
        if new and old and len(new[0]) == len(fragment.rstrip("条分")):
            ordinal = "第" if old[0].startswith("第") and not new[0].startswith("第") else ""
            return previous.replace(old[0], ordinal + new[0], 1)
    about = _ABOUT.match(fragment)
    if about and about[1] in previous:
        return re.sub(f"{about[1]}[^，,？?]+?(?={_PREDICATE.pattern}|$)", fragment, previous, count=1)
    subject = _PREDICATE.split(previous)[0]
    if subject and not own_words(fragment) and ACTOR.fullmatch(fragment) and not own_words(subject):
        return fragment + previous.removeprefix(subject)
    is_all = topic == previous.strip("？?。 ")  # exchanged, it would leave nothing that is asked
    if topic in previous and pairs(fragment) & pairs(topic) and not is_all:
        return previous.replace(topic, fragment, 1)
    for group in _CONTRASTS:
        new_word = next((word for word in group if word in fragment and word not in previous), None)
        old_word = next((word for word in group if word in previous and word not in fragment), None)
        if new_word and old_word:
            return previous.replace(old_word, new_word)
    if topic in previous and not (is_all and own_words(fragment)):
        return previous.replace(topic, fragment if own_words(fragment) else f"{topic}的{fragment}", 1)
    return None


def _topic_en(previous: str) -> str:
    words = re.sub(
        r"^(?:please\s+)?(?:what|who|when|where|which|how|why|can|could|may|must|should|does|do|did|is|are|was|were)\b"
        r"(?:\s+(?:is|are|was|were|does|do|did|can|much|many|long)\b)?\s*",
        "",
        previous.strip().rstrip("?. "),
        flags=re.IGNORECASE,
    )
    return words or previous


def _carry_english(question: str, previous: str) -> str:
    topic = _topic_en(previous)
    pronoun = PRONOUN_EN.search(question)
    if pronoun:
        owned = "'s" if pronoun.group().lower() in ("its", "their", "his", "her") else ""
        return question[: pronoun.start()] + topic + owned + question[pronoun.end() :]
    return f"{question.strip().rstrip('?')} ({topic})?"


def pairs(text: str) -> set[str]:
    """Every two neighbouring characters."""
    return {text[i : i + 2] for i in range(len(text) - 1)}
