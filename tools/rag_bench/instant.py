"""Search and model services that answer at once: `python -m tools.rag_bench.instant PORT`. Any path, one process."""

import asyncio
import json
import sys
from itertools import count
from typing import Any

PASSAGES = (
    "专项债务收入应当用于公益性资本支出，不得用于经常性支出。专项债务本金通过对应的政府性基金收入等偿还。",
    "一般债务收入应当用于公益性资本支出，不得用于经常性支出。一般债务应当通过一般公共预算收入等偿还。",
)
PIECES = ("专项债务收入应当", "用于公益性资本支出，", "不得用于经常性支出[1]。")


def _search(n: int) -> bytes:
    hits = [
        {"title": "预算管理办法", "text": f"第{n}条 {text}", "fields": {"source": "a.docx"}, "normalised_score": 0.9}
        for text in PASSAGES
    ]
    idf = dict.fromkeys(("专项", "债务", "收入", "经常性", "支出"), 2.0)
    body = {"hits": hits, "docs": [f"{hit['title']}\n{hit['text']}" for hit in hits], "idf": idf, "engine": "instant"}
    return json.dumps(body, ensure_ascii=False).encode()


def _chat() -> bytes:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "instant"}
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in PIECES
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events: list[dict[str, Any]] = [{**head, "choices": [choice]} for choice in choices]
    events.append({**head, "choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": 20}})
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
    return "".join((*lines, "data: [DONE]\n\n")).encode()


def _whole(body: bytes, kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


def _chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return b"%s%x\r\n%s\r\n0\r\n\r\n" % (head, len(body), body)


SEARCHES = tuple(map(_search, range(1000)))
"""Each answer another one, so that what rag_server keeps of a passage's analysis is of no use for the next turn."""
_asked = count()
CHAT = _chunked(_chat())


def _answer_to(request: bytes, body: bytes) -> bytes:
    if b"/v1/tokenize" in request:
        counts = [len(text) for text in json.loads(body)["texts"]]
        told = {"counts": counts, "max_model_len": 32_768, "has_chat_template": True}
        return _whole(json.dumps(told).encode(), b"application/json")
    if b"/v1/" in request:
        return CHAT
    found = SEARCHES[next(_asked) % len(SEARCHES)]
    if more := json.loads(body).get("more"):
        others = b",".join(SEARCHES[next(_asked) % len(SEARCHES)] for _ in more)
        found = b'%s,"more":[%s]}' % (found[:-1], others)
    return _whole(found, b"application/json")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            writer.write(_answer_to(head.partition(b"\r\n")[0], body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
