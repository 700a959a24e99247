"""Follow-up questions without a model: does a question lean on the history, and what does it mean in full?"""

import re

_NOUN = r"(?:办法|规定|通知|条例|意见|文件|法|债券|债务|资金|项目|指南|预案|政策|制度|比例|限额|内容|情况)"
_PRONOUN_ZH = re.compile(
    r"它们|它|他们|她们|前者|后者|^其(?!他|它|中|余|实)"
    rf"|上述{_NOUN}?|(?<!应)该(?:项|类)?{_NOUN}|此(?:类|项|种){_NOUN}?"
    rf"|(?:这|那)(?:(?:个|项|些|种|类|笔)(?!年|天|月){_NOUN}?|{_NOUN})|这(?=几)|^(?:这|那)(?=可以|能|是|要|有|由|算)"
)
"""A closed list: what is cut out of the middle of a word makes garbage (应该, 那年, 这次)."""
_LEANS_ZH = re.compile(
    r"^(?:那么?)?(?:为什么|为何|怎么办?)[？?呢]*$|^(?:还有|另外|除此|然后|由谁|从何时|自何时)|^那么?(?!年|些|次|个|时|曲|坡|不勒斯)"
)
_BARE_NE = re.compile(r"呢[？?。]*$")
_PRONOUN_EN = re.compile(
    r"\b(?:its?|they|them|theirs?|he|she|his|her)\b"
    # `that` after a noun begins a clause (the law that governs): only after these does it point back.
    r"|(?:(?<=^)|(?<=\bis )|(?<=\bare )|(?<=\bof )|(?<=\bfor )|(?<=\bin )|(?<=\bdoes )|(?<=\babout ))"
    r"\b(?:this|that|these|those)\b",
    re.IGNORECASE,
)
_LEANS_EN = re.compile(
    r"\bthe (?:former|latter)\b|^(?:and|what about|how about|also|then)\b|^(?:why|when|where|who|how)(?:\s+\w+)?\W*$",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"请问|什么是|是什么|是指什么|指什么|什么叫|何为|哪些|哪个|哪年|哪里|多少|什么时候|何时|什么|如何|怎么样|怎么|怎样|为什么|谁|是否|吗|呢|[？?。！!，,]"
)
_PREDICATE = re.compile(
    r"可以|可否|应当|应该|能否|能不能|不能|能|必须|不得|需要|需|应|由|通过|用于|用途|包括|分为|有|是|自|从|在|按|为|归|要|属于|怎"
)
_TRAILING_VERB = re.compile(r"(?:开始)?(?:施行|实施|生效|印发|公布|发布|执行)$")
_HAN = re.compile(r"[一-鿿]")
_SHORT_ASKING = re.compile(r"是?多少|多久|由谁|怎么|如何")
_LEAD = re.compile(r"^(?:那么|那(?!曲|坡)|还有|另外|而|再说|至于)")
_FRAGMENT_LENGTH = 4
_SHORT_QUESTION_LENGTH = 6


def leans_on_history(question: str) -> bool:
    """Whether the question can not be understood alone: a pronoun, an ellipsis, a bare fragment.

    >>> leans_on_history("它的利息呢？"), leans_on_history("什么是政府专项债务？")
    (True, False)
    """
    text = question.strip()
    bare = text.strip("？?。.！!")
    if not _HAN.search(text):
        return bool(_LEANS_EN.search(text) or _PRONOUN_EN.search(text))
    if len(bare) <= _FRAGMENT_LENGTH:
        return bare != text or bare.endswith("呢")  # 本金？ asks on; 预算法 is a search of its own
    if len(bare) <= _SHORT_QUESTION_LENGTH and _SHORT_ASKING.search(bare):
        return True
    if _BARE_NE.search(text) and not _ASKING.search(bare.removesuffix("呢")):
        return True  # X呢？, but not 什么是X呢？
    return bool(_LEANS_ZH.search(text) or _PRONOUN_ZH.search(text))


def carry_topic(question: str, previous: str) -> str:
    """`question` completed with the topic of `previous`, the last question in its full form.

    >>> carry_topic("它可以用于经常性支出吗？", "什么是政府专项债务？")
    '政府专项债务可以用于经常性支出吗？'
    >>> carry_topic("那一般债务呢？", "政府专项债务应当通过什么偿还？")
    '一般债务应当通过什么偿还？'
    """
    if not _HAN.search(question):
        return _carry_english(question, previous)
    topic = topic_of(previous) if _HAN.search(previous) else _topic_en(previous)
    if re.fullmatch(r"(?:那)?(?:这是)?(?:为什么|为何)[呢？?]*", question.strip()):
        return previous if previous.startswith(("为什么", "为何")) else "为什么" + previous
    rest = _LEAD.sub("", question.strip())
    pronoun = _PRONOUN_ZH.search(rest)
    if pronoun and topic not in rest:
        return rest[: pronoun.start()] + topic + rest[pronoun.end() :]
    fragment = re.sub(r"呢?[？?。]*$", "", rest)
    if topic in rest or not fragment:
        return rest
    if len(fragment) <= 12 and not _PREDICATE.search(fragment) and topic in previous:
        same_kind = bool(_bigrams(fragment) & _bigrams(topic))
        return previous.replace(topic, fragment if same_kind else f"{topic}的{fragment}", 1)
    return f"{topic}，{rest}"


def topic_of(question: str) -> str:
    """What a question is about: its words before the predicate, question words left out.

    >>> topic_of("专项债收入可以用于经常性支出吗？")
    '专项债收入'
    """
    plain = _ASKING.sub("", question).strip()
    parts = [_TRAILING_VERB.sub("", part.strip("的 ")) for part in _PREDICATE.split(plain)]
    return next((part for part in parts if len(part) >= 2), plain or question)


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
    pronoun = _PRONOUN_EN.search(question)
    if pronoun:
        owned = "'s" if pronoun.group().lower() in ("its", "their", "his", "her") else ""
        return question[: pronoun.start()] + topic + owned + question[pronoun.end() :]
    return f"{question.strip().rstrip('?')} ({topic})?"


def _bigrams(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}
