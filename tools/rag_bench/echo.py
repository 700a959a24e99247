"""Search and model services that repeat every canary they are shown: `python -m tools.rag_bench.echo PORT`.

What leaks from one session into another one's prompt or search thus comes out in its answer.
"""

import asyncio
import json
import re
import sys

_CANARY = re.compile(r"YJ[0-9a-f]{12}")


def _search(body: str) -> bytes:
    seen = "、".join(dict.fromkeys(_CANARY.findall(body))) or "无"
    hit = {"title": "项目台账", "text": f"涉及项目{seen}。", "fields": {}, "normalised_score": 0.9}
    idf = {"项目": 1.0, **dict.fromkeys((canary.lower() for canary in _CANARY.findall(body)), 5.0)}
    answer = json.dumps({"hits": [hit], "idf": idf, "engine": "echo"}, ensure_ascii=False).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)


def _chat(body: str) -> bytes:
    seen = "、".join(dict.fromkeys(_CANARY.findall(body))) or "无"
    deltas = [({"content": f"涉及项目{seen}[1]。"}, None), ({}, "stop")]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas]
    answer = "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")]
            body = (await reader.readexactly(int(lengths[0]) if lengths else 0)).decode()
            writer.write(_chat(body) if b"/v1/" in head.partition(b"\r\n")[0] else _search(body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
