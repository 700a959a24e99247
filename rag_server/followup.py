"""Follow-up questions without a model: does a question lean on the history, and what does it mean in full?"""

import re

_LEANS_ZH = re.compile(
    r"它|他们|她|这(?!里是)|那(?!么多)|(?<!应)该(?!如何|怎)|上述|前者|后者|此(?:类|项|种|外|时|办法)|^其(?!他|它|中|余)"
    r"|^(?:为什么|为何|怎么)[？?呢]*$|^(?:还有|另外|除此|然后|由谁|从何时|自何时)|呢[？?。]*$"
)
_LEANS_EN = re.compile(
    r"\b(?:its?|they|them|their|that|those|these|this|he|she|his|her|the former|the latter)\b"
    r"|^(?:and|what about|how about|also|then)\b|^(?:why|when|where|who|how)(?:\s+\w+)?\W*$",
    re.IGNORECASE,
)
_POINTED_AT = r"(?:办法|规定|通知|条例|意见|文件|法|债券|债务|资金|项目|指南|预案|内容|情况)?"
_PRONOUN_ZH = re.compile(
    r"它们|它|他们|她们|前者|后者|^其"
    rf"|(?:上述|该(?:项|类)?|此(?:类|项|种)|(?:这|那)(?:个|项|些|种|类)?){_POINTED_AT}"
)
_PRONOUN_EN = re.compile(r"\b(?:its|it|they|them|their|those|these|this|that|he|she)\b", re.IGNORECASE)
_ASKING = re.compile(
    r"请问|什么是|是什么|是指什么|指什么|什么叫|何为|哪些|哪个|哪年|哪里|多少|什么时候|何时|什么|如何|怎么样|怎么|怎样|为什么|谁|是否|吗|呢|[？?。！!，,]"
)
_PREDICATE = re.compile(
    r"可以|可否|应当|应该|能否|能不能|不能|能|必须|不得|需要|需|应|由|通过|用于|用途|包括|分为|有|是|自|从|在|按|为|归|要|属于|怎"
)
_TRAILING_VERB = re.compile(r"(?:开始)?(?:施行|实施|生效|印发|公布|发布|执行)$")
_SHORT_ASKING = re.compile(r"是?多少|多久|由谁|怎么|如何")
_LEAD = re.compile(r"^(?:那么|那|还有|另外|而|再说|至于)")
_FRAGMENT_LENGTH = 4
_SHORT_QUESTION_LENGTH = 6


def leans_on_history(question: str) -> bool:
    """Whether the question can not be understood alone: a pronoun, an ellipsis, a bare fragment.

    >>> leans_on_history("它的利息呢？"), leans_on_history("什么是政府专项债务？")
    (True, False)
    """
    bare = question.strip().strip("？?。.！!")
    if re.search(r"[一-鿿]", bare) and (
        len(bare) <= _FRAGMENT_LENGTH or (len(bare) <= _SHORT_QUESTION_LENGTH and _SHORT_ASKING.search(bare))
    ):
        return True
    return bool(_LEANS_ZH.search(question.strip()) or _LEANS_EN.search(question.strip()))


def carry_topic(question: str, previous: str) -> str:
    """`question` completed with the topic of `previous`, the last question in its full form.

    >>> carry_topic("它可以用于经常性支出吗？", "什么是政府专项债务？")
    '政府专项债务可以用于经常性支出吗？'
    >>> carry_topic("那一般债务呢？", "政府专项债务应当通过什么偿还？")
    '一般债务应当通过什么偿还？'
    """
    if not re.search(r"[一-鿿]", question + previous):
        return _carry_english(question, previous)
    topic = topic_of(previous)
    if re.fullmatch(r"(?:那)?(?:这是)?(?:为什么|为何)[呢？?]*", question.strip()):
        return "为什么" + previous
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


def _carry_english(question: str, previous: str) -> str:
    words = re.sub(
        r"^(?:please\s+)?(?:what|who|when|where|which|how|why|can|could|may|must|should|does|do|did|is|are|was|were)\b"
        r"(?:\s+(?:is|are|was|were|does|do|did|can|much|many|long))?\s*",
        "",
        previous.strip().rstrip("?. "),
        flags=re.IGNORECASE,
    )
    topic = words or previous
    pronoun = _PRONOUN_EN.search(question)
    if pronoun:
        owned = "'s" if pronoun.group().lower() in ("its", "their") else ""
        return question[: pronoun.start()] + topic + owned + question[pronoun.end() :]
    return f"{question.strip().rstrip('?')} ({topic})?"


def _bigrams(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}
