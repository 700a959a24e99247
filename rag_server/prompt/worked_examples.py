"""The prompt for a model without a chat template: a text to go on with, which shows by two examples what is wanted.

Both examples answer: shown a refusal, a small model refuses most questions. What has no basis is refused before.
"""

from collections.abc import Sequence

from service_kit.words import Lang

STOPS: dict[Lang, tuple[str, ...]] = {"zh": ("\n", "问题：", "资料："), "en": ("\n", "Question:", "References:")}
"""Where the answer ends: a model that goes on would ask itself the next question."""
REPETITION_PENALTY = 1.1
"""Small base models repeat themselves without one."""

_FORM: dict[Lang, str] = {
    "zh": "资料：\n{references}\n问题：{question}\n回答：",
    "en": "References:\n{references}\nQuestion: {question}\nAnswer:",
}
_EXAMPLES: dict[Lang, tuple[tuple[tuple[str, ...], str, str], ...]] = {
    "zh": (
        (
            (
                "《公务用车管理办法》公务用车使用年限超过8年的，可以更新。达到更新年限仍能继续使用的，应当继续使用。",
                "《会议费管理办法》二类会议会期不得超过2天；会议报到和离开时间，合计不得超过1天。",
            ),
            "二类会议的会期最长几天？",
            "二类会议会期不得超过2天[2]。",
        ),
        (
            (
                "《档案管理规定》会计凭证的保管期限为30年。",
                "《印章管理规定》印章由专人保管，不得带出办公场所。",
            ),
            "会计凭证要保管多久？",
            "会计凭证的保管期限为30年[1]。",
        ),
    ),
    "en": (
        (
            (
                "Vehicle rules: an official car may be replaced after 8 years. A car that still works stays in use.",
                "Meeting rules: a meeting of the second class lasts no more than 2 days.",
            ),
            "How long may a meeting of the second class last?",
            "It lasts no more than 2 days [2].",
        ),
        (
            (
                "Archive rules: vouchers are kept for 30 years.",
                "Seal rules: a seal must not leave the office.",
            ),
            "How long are vouchers kept?",
            "Vouchers are kept for 30 years [1].",
        ),
    ),
}
_TASK: dict[Lang, str] = {
    "zh": "根据资料回答问题，在句末标出资料的编号。",
    "en": "Answer each question from its references and put the number of the reference after the sentence.",
}


def completion_prompt(question: str, references: Sequence[str], lang: Lang) -> str:
    """Task, two worked examples, then the question with its references, `[n] text` each."""
    form = _FORM[lang]
    shown = [
        form.format(references=_numbered(texts), question=asked) + (" " if lang == "en" else "") + answer
        for texts, asked, answer in _EXAMPLES[lang]
    ]
    last = form.format(references="\n".join(references), question=question)
    return "\n\n".join([_TASK[lang], *shown, last])


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"[{n}]{text}" for n, text in enumerate(texts, start=1))
