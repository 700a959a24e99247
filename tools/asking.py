"""Asks rag_server one question and prints the answer with its evidence; shared by demo, ask and rag_test."""

from typing import Any

from service_kit.settings import Settings
from tools.clients import body_of, post, session_for
from tools.console import Say

PATH = "/get_bot_response"
QUESTIONS = ("什么是政府专项债务？", "专项债收入可以用于经常性支出吗？", "政府专项债务应当通过什么偿还？")
"""The tutorial's three."""


def ask(settings: Settings, url: str, session_id: str | int, question: str) -> dict[str, Any]:
    """What `POST <url>` (rag_server's `/get_bot_response`) answers.

    Raises:
        DependencyDown: no connection, or an error status; its words are the service's own.
    """
    response = post(session_for(settings), url, {"id": session_id, "content": question})
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        return {"response": response.text, "docs": []}
    return body_of(response)


def print_answer(say: Say, question: str, answer: dict[str, Any]) -> None:
    """Question, answer, then each piece of evidence: number, title, file, the sentence that counts."""
    say(f"\n问：{question}", f"\nQuestion: {question}")
    searched = answer.get("new_query", question)
    if searched != question:
        say(f"（理解为：{searched}）", f"(understood as: {searched})")
    say(f"答：{answer['response']}", f"Answer: {answer['response']}")
    for notice in answer.get("notices", []):
        print(f"  * {notice}")
    for near in answer.get("nearest", []):
        say(f"  最接近的材料：《{near['title']}》", f"  nearest: {near['title']}")
    for evidence in answer.get("evidence", []):
        known = " | ".join(part for part in (evidence["doc_no"], evidence["path"], evidence["source"]) if part)
        n, title = evidence["n"], evidence["title"]
        say(f"  证据[{n}]《{title}》 {known}", f"  Evidence [{n}] {title} {known}")
        for start, end in evidence["highlights"]:
            print(f"      {evidence['text'][start:end]}")
