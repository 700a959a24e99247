"""Does a question lean on the history? Pure functions, no model: what they say decides whether one is called."""

import re
from collections.abc import Iterable
from functools import lru_cache

import rjieba

_HAN = re.compile(r"[一-鿿]")
_NOUN = (
    r"(?:办法|规定|通知|条例|意见|文件|法|债券|债务|债|资金|项目|指南|指引|预案"
    r"|政策|制度|比例|限额|内容|情况|合同|计划)"
)
PRONOUN_ZH = re.compile(
    r"它们|它|这里|他们|她们|前者|后者|两者|二者|^其(?!他|它|余|实|次)|其中"
    rf"|上述{_NOUN}?|同一[个份部]?{_NOUN}|(?<!应)该(?:项|类)?{_NOUN}|此(?:类|项|种){_NOUN}?|(?:对|与|和|跟|除|因|如|在|以)(?:此|之)(?:相对|相应|外|前|后|间)?的?"
    rf"|(?:这|那)(?:(?:个|项|些|种|类|笔|份|部|部分|几[个项类种])(?!年|天|月|省|地区|\d){_NOUN}?|{_NOUN})|这(?=几(?!年|天|个月)|跟|和|与)|^(?:这|那)(?=可以|能|是|要|有|由|算|会|行)"
)
"""A closed list: what is cut out of the middle of a word makes garbage (应该, 那年, 这次)."""
PRONOUN_EN = re.compile(
    r"\b(?:its?|they|them|theirs?|he|she|his|her)\b"
    # `that` after a noun begins a clause (the law that governs): only after these does it point back.
    r"|(?:(?<=^)|(?<=\bis )|(?<=\bare )|(?<=\bof )|(?<=\bfor )|(?<=\bin )|(?<=\bdoes )|(?<=\babout ))"
    r"\b(?:this|that|these|those)\b",
    re.IGNORECASE,
)
LEAD_ZH = re.compile(
    r"^(?:(?:您好|你好|好的|谢谢|多谢|嗯|哦|换个话题|(?:那么?|另外|再|还|想|麻烦|顺便)*(?:请问|请教|咨询|问)(?:一下|一个|下)?"
    r"|那么|那(?![曲坡年时些次个]|份\d)|还有(?!多少|哪|什么|几)|另外|而(?!且)|再说|至于|然后|回到(?:[一-鿿]{0,6}(?:问题|话题))?|刚才(?:说)?的?|前面(?:说|提到)?的?"
    r"|之前(?:说|提到)的?|咋回事)[，,。、！!\s]*)+"
)
"""Politeness and what ties a turn to the one before: no part of the question."""
_COURTESY = re.compile(r"(?:您好|你好|好的|谢谢|多谢|感谢|辛苦|再见|嗯|哦|您|你|了|啊|[，,。.、！!~～\s])+")
"""Asks nothing, so there is nothing that an earlier turn could complete."""
_NEW_SUBJECT = re.compile(r"^(?:换个话题|(?:好的|谢谢|那么?|另外|再|还|想|麻烦|顺便|[，,。！!])*(?:请问|请教|咨询|问))")
"""Announces a question of its own."""
_ASKS_ON_ZH = re.compile(
    r"^(?:除此|再(?:说|讲)|又|也|同样)|^怎么办$"
    r"|^(?:为什么|为何|为啥)(?:不?(?:可以|能|行|允许))?[呢啊]?$"
    r"|(?:刚才|前面|上面|之前)(?:说|提到|讲)的|^(?:展开|具体|详细)地?(?:说|讲|介绍|解释|一点|点)|举个?例"
    r"|^(?:如果|要是|假如|万一)[一-鿿]{0,12}呢$|^\d+号文(?!件)|进去|在里面|在内[吗么不]?$|也?一样[吗么]?$"
)
_AGAIN = re.compile(r"又(?:是|如何|该|怎么)")
_NAMES_ITS_PLACE = re.compile(r"第[一二三四五六七八九十百零\d]+条|号|》")
"""A pronoun behind 第三十五条 or a 文号 means that."""
_ALSO = re.compile(r"也(?:要|是|能|可以|会|得|应当|属于|适用|包括)")
_THEN = re.compile(r"^那么?(?![年些次个时曲坡须]|不勒斯)")
_HEADLESS = re.compile(
    r"(?<!什么)(?<![目有指讲说])的(?=由谁|也|应当|该|要|怎么|如何|呢|那$|又|属于|会|能|可以|多少|几|是[什多哪]|最[长短多少高低早晚](?:多少|几|是))"
)
"""The noun behind 的 is missing: 专项的呢, 乡镇的由谁批准."""


def _words(line: str) -> list[str]:
    return line.split()


_VERBS = _words(
    "能 能不能 能否 能用 能用于 可 可以 可否 会 会不会 要 要不要 应 应当 应该 该 需 需要 需不需要 必须 得 "
    "是 是不是 是否 只有 只 有 有没有 有无 没 没有 还 还有 不 哪次 最后 最多 最少 频繁 定期 最高 最低 "
    "最终 分别 主要 由 从 在 靠 按 按照 向 报 报给 给 对 被 把 跟 和 与 比 以 用 为 因 自 随 随同 设置 "
    "属于 包括 包含 适用 违反 改 到 到了"
)
_ASKING = _words(
    "什么 哪 哪些 哪个 哪种 哪几个 谁 怎么 怎样 如何 为什么 为何 为啥 何时 什么时候 多久 多少 几 如果 要是"
)
_ATTRIBUTES = _words(
    "期限 时限 时间 日期 截止日 截止 比例 占比 上限 下限 限制 额度 规模 金额 数额 利息 本金 本息 资金 "
    "收入 支出 来源 方式 方法 程序 流程 条件 标准 情形 情况 范围 对象 机关 主体 责任 责任人 后果 处分 "
    "处罚 措施 办法 文件 文号 依据 法律 内容 目的 原则 定义 含义 等级 级别 例外 材料 项目 概念 年限 基数 "
    "用处 作用 意思 方案 结果 评价 领域 行业 环节 事项 行为 关系 位置 问题 条文 条款 科目 合同 规则 副本 "
    "名单 地区 到期 资产 例子 原因 理由 指标 要求 前提"
)
"""What everything that is ruled has: a question about one of them alone is about something named before."""
_ACTS = _words(
    "包括 包含 规定 处理 处置 办理 执行 开始 施行 实施 生效 印发 发布 公布 发文 批准 批 审批 审核 审查 "
    "审议 审 负责 组织 承担 调整 延长 提前 偿还 归还 还款 使用 用于 用途 用作 管理 监管 纳入 列入 公开 "
    "对外 报告 报送 报备 报 备案 签 启动 适用 确定 确认 计算 算 算作 属于 分为 分 分成 分类 设置 设定 设 "
    "编制 制定 下达 批复 修改 修正 改 废止 取代 失效 有效 影响 区别 变化 起算 出现 采取 满足 符合 承诺 "
    "禁止 允许 同意 违反 违规 违约 合规 选取 选 增加 提高 减少 新增 存在 变 做 搞 弄 拿 走 等 起 满意 "
    "答复 投诉 追究 给予 安排 超过 发现 申请 监控 进行 发 划分 定 补 赔"
)
"""What anybody does with anything."""
_ACTORS = _words("中央 省里 省级 市里 县里 区里 市县 地方 乡镇 政府 财政局 财政部门 银行 企业 部门 单位")
_FUNCTION = _words(
    "请问 什么 什么样 哪些 哪个 哪种 哪几 哪里 哪儿 哪 那 多少 多久 多长 多大 几 怎么样 怎么 如何 怎样 咋 "
    "啥 为什么 为何 为啥 谁 何时 吗 呢 么 吧 啊 不 没有 没 有 是 是否 否 能 能不能 可以 可 会 应当 应该 "
    "要 必须 需要 需 得 由 被 把 对 向 给 从 在 到 按 按照 靠 用 以 为 与 和 跟 及 或 的 了 着 过 地 这 "
    "其 该 它 个 种 项 条 款 次 类 第 级 如果 要是 假如 的话 还 也 都 就 又 再 才 只 只有 限于 最 多 少 "
    "高 低 大 小 长 前 后 内 外 上 下 中 时候 时 日 天 年 月 以上 以下 之前 之后 之内 以内 以前 以后 原来 "
    "现在 目前 当时 此时 同时 分别 具体 主要 有关 相关 其他 其余 剩下 对应 另外 进去 里面 里 针对 指 叫 "
    "行 成 想 说 讲 看 办 怎么办 市 省 自己 对方 会怎样 已经 出 来 先 可选 举例 展开 讲讲 详细 字 本数 完 "
    "部分 全部 哪级 数 比 同比 两 两者 之一 一样 这样 这里 不同 政策 制度 今年 去年 上年 次年 明年 重新 "
    "重大 真的 确定 除了 这些 那些 一 二 三"
)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(sorted(words, key=lambda word: (-len(word), word)))})+")


_GENERIC = _any_of({*_ATTRIBUTES, *_ACTS, *_ACTORS, *_FUNCTION})
ACTOR = _any_of(_ACTORS)
_NOUN_BEFORE = _any_of({*_ATTRIBUTES, *_ACTORS})
_NOUN_AFTER = _any_of({*_ATTRIBUTES, *_ACTORS, *_ACTS})
"""Generic words that are part of a name when they stand right before or after an own word: 政府采购, 预算调整."""
_PLACE = re.compile(
    r"第?[一二三四五六七八九十百零\d]+[条章款项]|百分之[一二三四五六七八九十]+|[ⅠⅡⅢⅣ]级?"
    r"|(?:\d[\d.]*|[一二三四五六七八九十百]+)\s*(?:[%％]|万?亿?元|[分年月日天级次])|\d[\d.]*"
)
_DOC_NO = re.compile(r"[〔\[（(【]\d{4}[〕\]）)】]\s*\d+\s*号")
_LEANS_EN = re.compile(
    r"\bthe (?:former|latter)\b|^(?:and|what about|how about|also|then)\b|^(?:why|when|where|who|how)(?:\s+\w+)?\W*$",
    re.IGNORECASE,
)
_STARTS = {**dict.fromkeys(_ATTRIBUTES, 5), **dict.fromkeys(_ASKING, 4), **dict.fromkeys(_VERBS, 4)}
"""A question's first word, and how many characters of its own it then needs to stand alone. One that begins with a verb
lacks its subject, and whatever it is about stands in an earlier turn; 哪些 and 期限 are about something, too."""
_OBJECT_OF = tuple("归被由对跟和与比按给替靠")
_DEFINE = re.compile("什么(?:是|叫)")
LEAST_TO_STAND = 3
"""The same for all other beginnings. Two characters (中央, 年底, 条例) are hardly ever all that a question in a session
is about."""
LEAST_OWN = 2
"""The same before a pronoun that stands in apposition (鲍林规则这个名字) or behind the place that it means."""
LEAST_OWN_AFTER_THEN = 9
"""And of one that begins with 那: it goes on from something, but what it says may be complete all the same."""
ANTECEDENT = 5
"""Own characters before a pronoun, from which on it points to them rather than to an earlier turn."""


def leans_on_history(question: str) -> bool:
    """Whether the question can not be understood alone: a pronoun, an ellipsis, a bare fragment.

    >>> leans_on_history("它的利息呢？"), leans_on_history("什么是政府专项债务？")
    (True, False)
    """
    text = question.strip()
    if _LEANS_EN.search(text):
        return True
    if not _HAN.search(text):
        return bool(PRONOUN_EN.search(text)) or not re.search(r"[A-Za-z]", text)
    if _COURTESY.fullmatch(text):
        return False
    asked = re.sub(r"[？?。.！!，,、\s]+$", "", text)
    return any(leans(asked) for leans in (_points_back, _is_fragment, _has_no_topic))


@lru_cache(maxsize=8192)
def own_words(question: str) -> str:
    """What a question is about, in its own words: without what any question could hold. Remembered: each turn asks it
    of all the questions of its history.

    >>> own_words("棚改专项债券的期限上限是多少？"), own_words("期限上限是多少？")
    ('棚改专项债券', '')
    """
    plain = _PLACE.sub(" ", LEAD_ZH.sub("", question.strip()))
    words = list(rjieba.cut(plain))
    own = [word[0].isalnum() and not _GENERIC.fullmatch(word) for word in words]
    kept = [
        own[i]
        or (i + 1 < len(words) and own[i + 1] and _NOUN_BEFORE.fullmatch(word))
        or (i > 0 and own[i - 1] and _NOUN_AFTER.fullmatch(word))
        for i, word in enumerate(words)
    ]
    return "".join(word for word, keep in zip(words, kept, strict=True) if keep)


def _points_back(text: str) -> bool:
    pointer = PRONOUN_ZH.search(text) or _HEADLESS.search(text) or (len(text) < 16 and _ALSO.search(text))
    if pointer:
        before = text[: pointer.start()]
        apposed = pointer[0][0] in "这那" and before[-1:].isalnum()  # 鲍林规则这个名字
        named = apposed or _NAMES_ITS_PLACE.search(before)
        other = pointer[0] in ("它", "它们") and before.endswith(_OBJECT_OF)  # 土地出让金也归它管: not of itself
        if other or len(own_words(before)) < (LEAST_OWN if named else ANTECEDENT):
            return True
    again = _AGAIN.search(text)
    if again and len(own_words(text[: again.start()])) < LEAST_OWN:
        return True
    rest = LEAD_ZH.sub("", text)
    return bool(_ASKS_ON_ZH.search(rest) or (not _NEW_SUBJECT.search(text) and _ASKS_ON_ZH.search(text)))


def _is_fragment(text: str) -> bool:
    """本金呢, 一般债务呢."""
    rest = LEAD_ZH.sub("", text)
    return rest.endswith("呢") and not re.search(r"什么|多少|如何|怎|哪|谁|吗|是否", rest)


def _has_no_topic(text: str) -> bool:
    if _DOC_NO.search(text):
        return False
    rest = LEAD_ZH.sub("", text)
    first = "" if _DEFINE.match(rest) else next(iter(rjieba.cut(rest)), "")
    least = _STARTS.get(first, LEAST_TO_STAND)
    if _THEN.search(text) and not _NEW_SUBJECT.search(text):
        least = LEAST_OWN_AFTER_THEN
    return len(own_words(text)) < least
