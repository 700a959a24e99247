"""Stage 3: the messages that the model gets. The evidence is numbered as the answer shall cite it."""

from collections.abc import Sequence

from rag_server.turn import Evidence, Message, Understood

_TASK_ZH = """请基于参考，回答问题，并给出参考依据（在所依据的句子后标注参考的编号，如[1]）；\
参考中没有的，请说明参考中没有依据。
问题：
{question}
参考：
{references}
答案："""
_TASK_EN = """Answer the question from the references and give the basis: after each sentence put the number \
of the reference it rests on, such as [1]. If the references do not answer it, say so.
Question:
{question}
References:
{references}
Answer:"""


def assemble(
    understood: Understood, evidence: Sequence[Evidence], history: Sequence[Message], system: str = ""
) -> list[dict[str, str]]:
    """The caller's system text, the history (bare questions and answers), then the question with its references.

    The task's wording is the tutorial's, with citation marks.
    """
    task = _TASK_ZH if understood.lang == "zh" else _TASK_EN
    references = "\n".join(f"[{e.n}] {e.content}" for e in evidence)
    prompt = task.format(question=understood.query, references=references)
    past = [{"role": message.role, "content": message.content} for message in history]
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *past, {"role": "user", "content": prompt}]
