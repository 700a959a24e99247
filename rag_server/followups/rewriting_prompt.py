"""What the model is shown when it rewrites a follow-up question: the task, three worked examples, the dialogue.

Told only what to do, small chat models give the question back as it came (Qwen2.5-Coder 1.5B nearly always); shown
examples they fill it in. The examples come first, so that an engine which keeps prefixes reads them once.
"""

from collections.abc import Sequence

from rag_server.turn import Message
from service_kit.words import Lang

MESSAGES = 12
"""So many of the last messages are shown: a question may return to an earlier topic."""
MESSAGE_LENGTH = 150
"""Characters of each: what was talked about stands at the beginning."""

_TASK: dict[Lang, str] = {
    "zh": "你把对话中最后的问题改写成不看对话也能读懂的完整问题：补上省略的主题，把代词换成它所指的内容，"
    "保留原问题的用词、数字和日期。最后的问题本身已经完整时，原样写出。只写一个问题，不回答，不解释。",
    "en": "You rewrite the last question of a conversation so that it can be understood alone: add the topic that was "
    "left out, replace pronouns by what they refer to, keep the question's own words, numbers and dates. If it is "
    "complete already, repeat it. Write one question only; do not answer or explain it.",
}
_FORM: dict[Lang, str] = {
    "zh": "对话：\n{dialogue}\n最后的问题：{query}",
    "en": "Conversation:\n{dialogue}\nLast question: {query}",
}
_SPEAKERS: dict[Lang, dict[str, str]] = {
    "zh": {"user": "问：", "assistant": "答："},
    "en": {"user": "Q: ", "assistant": "A: "},
}
_EXAMPLES: dict[Lang, tuple[tuple[str, str, str], ...]] = {
    "zh": (
        (
            "问：城镇土地使用税由谁缴纳？\n答：在城市、县城、建制镇、工矿区范围内使用土地的单位和个人。[1]",
            "那税率呢？",
            "城镇土地使用税的税率是多少？",
        ),
        (
            "问：公务员辞去公职要经过谁批准？\n答：应当向任免机关提出书面申请，由任免机关审批。[1]",
            "多久批下来？",
            "公务员辞去公职的申请多久批下来？",
        ),
        (
            "问：一级建造师证书几年有效？\n答：注册证书有效期为3年。[2]",
            "二级的也是吗？",
            "二级建造师证书的有效期也是3年吗？",
        ),
    ),
    "en": (
        (
            "Q: Who pays the land use tax?\nA: Units and persons who use land in towns and mining areas. [1]",
            "And what is the rate?",
            "What is the rate of the land use tax?",
        ),
        (
            "Q: Who approves the resignation of a civil servant?\nA: The office that appointed him. [1]",
            "How long does that take?",
            "How long does the approval of a civil servant's resignation take?",
        ),
        (
            "Q: How long is a first-class builder's licence valid?\nA: It is valid for 3 years. [2]",
            "Is that so for the second class?",
            "Is a second-class builder's licence valid for 3 years, too?",
        ),
    ),
}


def rewriting_messages(query: str, history: Sequence[Message], lang: Lang) -> list[dict[str, str]]:
    """A chat prompt whose answer is `query` in a form that stands alone. Earlier questions are shown as they were
    searched."""
    speakers = _SPEAKERS[lang]
    dialogue = "\n".join(
        speakers[message.role] + _in_one_line(message.standalone or message.content) for message in history[-MESSAGES:]
    )
    messages = [{"role": "system", "content": _TASK[lang]}]
    for shown, asked, rewritten in _EXAMPLES[lang]:
        messages.append({"role": "user", "content": _FORM[lang].format(dialogue=shown, query=asked)})
        messages.append({"role": "assistant", "content": rewritten})
    return [*messages, {"role": "user", "content": _FORM[lang].format(dialogue=dialogue, query=query)}]


def _in_one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LENGTH else f"{line[:MESSAGE_LENGTH]}…"
