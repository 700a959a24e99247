"""Which words make a claim, and which of them say the same."""

from collections.abc import Iterable, Sequence

from rag_server.checks.stance import is_stance
from rag_server.checks.tokens import Tokens, Word, is_number


def _listed(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_FUNCTION = _listed(
    "的 地 得 了 着 过 和 与 及 以及 或 或者 并 并且 而 且 也 还 又 就 则 即 便 都 均 是 为 系 乃 在 于 从 自 由 被",
    "把 将 对 对于 关于 向 往 给 以 按 按照 根据 依据 依照 依 据 通过 经 经过 因 因为 由于 所以 因此 其 其中 该 此 这",
    "那 本 上述 所述 它 他 她 之 所 等 等等 同时 另外 此外 另 但 但是 然而 如 如果 若 倘若 当 时 时候 有 有关 相关",
    "进行 予以 给予 加以 作出 做出 具有 属于 称为 叫 叫做 一 一个 一种 个 种 条 款 项 名 位 件 家 座 次 份 只 即可 来",
    "去 中 里 内 上 下 年 月 日 至 到 起 止 已 已经 曾 曾经 可知 the a an of to in on at for and or by with from as",
    "is are was were be been it its this that these those which who also has have had do does did so such their his",
    "her they he she",
)
_FUNCTION_TAGS = ("u", "p", "c", "r", "y", "e", "o", "x", "k", "h", "q", "d", "f")
"""Of single characters; the first letters of jieba's parts of speech."""
_NAME_TAGS = ("nr", "ns", "nt", "nz", "eng", "x", "zg", "j")
NOUN_TAGS = ("n", "eng", "x", "j", "zg", "s")
SOFT_TAGS = ("d", "f", "t", "m", "q", "b")
"""Of words that may be put in without saying something else: 及时, 依法."""
_SAME = tuple(
    frozenset(group.split())
    for line in (
        "规定 要求 明确|实施 施行 执行 实行 生效|批准 审批 核准|制定 制订 拟订 订立|设立 建立 成立 设置 创立 创建",
        "开展 进行 实施|包括 包含 涵盖 含有 含|位于 坐落于 地处 座落于 坐落|颁布 公布 发布 印发 出台|提出 提交",
        "处理 处置|负责 承担|大约 约 约为 左右 大概|目前 现在 现时 如今|使用 运用 利用 采用|帮助 协助|立即 马上 即刻",
        "及时 尽快|说明 解释|人民政府 政府|遵守 遵循 遵照|取得 获得 得到 获 荣获|各 各个|用于 用作|列入 纳入",
        "终止 停止|单位 机构|报告 汇报|担任 出任 任|死亡 去世 逝世|出生 诞生|制作 制造|建造 修建 兴建 建设|书写 撰写",
        "属于 属|年龄 岁数|简称 又称 亦称 别称 也称|毕业于 毕业",
    )
    for group in line.split("|")
)
_SAME_AS = {
    word: frozenset[str]().union(*(group for group in _SAME if word in group)) for words in _SAME for word in words
}
"""Each word with all that say the same."""
_LIKE_COUNTERS = tuple(
    frozenset(counters)
    for counters in (
        *("人名位口员", "家所间座栋幢处", "辆台部架", "次回遍趟", "条项款件则份", "册本卷", "只头匹", "枚颗粒", "天日"),
        "元块",
    )
)
"""Within each, one stands for the other; 个 stands for any."""
COUNTERS = frozenset("个户种类届集层级章节组批队班票株棵张").union(*_LIKE_COUNTERS)
_POINTERS = _listed(
    "本法 本办法 本条例 本规定 本细则 其 该 它 他 她 它们 他们 本 此 前款 上述 本市 本省 本区 这 该书 该片 本书 本片",
    "前者 后者",
)
_OPPOSED = frozenset(
    "上下大小多少高低进出买卖收支内外前后左右东西南北男女父母新旧长短增减升降正副甲乙丙丁先后早晚主次公私国省市县区乡村镇"
    "首末春夏秋冬"
)
"""Verbs that differ in one of these are no near forms of each other."""
_LEVELS = frozenset(("本级", "各级"))
"""Pronouns to jieba, but who acts: 本级政府 is not 上级政府."""
_EMPTY = frozenset("于为在的了以到成着过")


def content(words: Iterable[Word]) -> list[Word]:
    """The words that name or say something; words of stance are judged by themselves."""
    return [word for word in words if not _is_function(word)]


def _is_function(word: Word) -> bool:
    if word.text in _LEVELS:
        return False
    if word.text in _FUNCTION or word.tag in ("uj", "ul", "c", "p", "r", "y") or is_stance(word):
        return True
    return len(word.text) == 1 and word.tag.startswith(_FUNCTION_TAGS)


def words_in(tokens: Tokens, first: int, last: int) -> list[Word]:
    """The words that lie in tokens `first` to `last`, also in part."""
    found = dict.fromkeys(tokens.word_of[i] for i in range(first, last))
    return [tokens.words[i] for i in found if i >= 0]


def numbers_in(tokens: Tokens, first: int, last: int) -> list[int]:
    """The tokens from `first` to `last` that are numbers."""
    return [i for i in range(first, last) if is_number(tokens.keys[i])]


def same_counter(one: str, other: str) -> bool:
    """Whether two of COUNTERS may count the same: 名 and 位, 个 and any other.

    >>> same_counter("名", "位"), same_counter("户", "人")
    (True, False)
    """
    return "个" in (one, other) or any(one in group and other in group for group in _LIKE_COUNTERS)


def is_name(word: Word) -> bool:
    """Whether a word is the name of a person, a place, a body or a thing, or one that jieba does not know."""
    return word.tag.startswith(_NAME_TAGS)


def same_meaning(word: Word, others: Sequence[Word]) -> bool:
    """Whether one of `others` says the same: a synonym, a longer form, or (verbs) a near form such as 审批 and 批准."""
    same = _SAME_AS.get(word.text, frozenset())
    for other in others:
        if word.text == other.text or other.text in same:
            return True
        if other.text.endswith(word.text) and not other.tag.startswith(("nr", "ns")) and len(word.text) > 1:
            return True
        if not word.tag.startswith("n") and not other.tag.startswith("n") and _near(word.text, other.text):
            return True
    return False


def _near(one: str, other: str) -> bool:
    mine, theirs = set(one) - _EMPTY, set(other) - _EMPTY
    return bool(mine & theirs) and not (mine ^ theirs) & _OPPOSED


def points_back(words: Sequence[Word], text: str) -> bool:
    """Whether what the passage has there only refers to something named elsewhere: 本办法, 其, 该."""
    return text in _POINTERS or (bool(words) and all(word.text in _POINTERS or word.tag == "r" for word in words))
