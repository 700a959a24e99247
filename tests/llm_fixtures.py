"""Stand-ins for models: an engine that plays a script, and tiny models with random weights."""

import json
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_server.engines.engine import Load, ModelCard, Prompt, Request
from service_kit.errors import YijuError
from service_kit.generation import Generation, Usage
from service_kit.logs import request_id

Step = str | YijuError | threading.Event | Callable[[], None]


class ScriptedEngine:
    """Plays `steps` for each request: emits a text, waits for an event, calls a function, or fails with an error."""

    def __init__(self, *steps: Step, refusal: YijuError | None = None) -> None:
        self.steps = steps
        self.refusal = refusal
        self.requests: list[Request] = []
        self.request_ids: list[str] = []
        self.generations: list[Generation] = []

    def begin(self, request: Request) -> Generation:
        if self.refusal:
            raise self.refusal
        self.requests.append(request)
        self.request_ids.append(request_id.get())
        generation = Generation(request.deadline, request.is_gone)
        generation.model = "scripted"
        self.generations.append(generation)
        threading.Thread(target=self._play, args=(generation,), daemon=True).start()
        return generation

    def _play(self, generation: Generation) -> None:
        for step in self.steps:
            if isinstance(step, YijuError):
                return generation.fail(step)
            if isinstance(step, threading.Event):
                while not step.wait(0.01):
                    if error := generation.why_stop():
                        return generation.fail(error)
            elif callable(step):
                step()
            else:
                generation.emit(step)
        pieces = sum(isinstance(step, str) for step in self.steps)
        return generation.finish("stop", Usage(7, pieces))

    def card(self) -> ModelCard:
        if self.refusal:
            raise self.refusal
        return ModelCard("scripted", 8192, True)

    def count(self, prompt: Prompt) -> int:
        texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
        return sum(len(text) for text in texts)

    def score(self, prompts: Sequence[Prompt], following: Sequence[str], request: Request) -> list[list[float]]:
        if self.refusal:
            raise self.refusal
        self.requests.append(request)
        return [[-float(self.count(prompt)) for _ in following] for prompt in prompts]

    def load(self) -> Load:
        return Load(waiting=0, running=0)

    def close(self) -> None:
        pass


CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tiny_model(
    folder: Path, *, chat_template: str | None = CHAT_TEMPLATE, window: int = 512, width: int = 32
) -> Path:
    """Save a random two-layer Llama whose 256 tokens are the bytes, and two more: end of text and begin of text."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", bos_token="<begin>")
    fast.chat_template = chat_template
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        eos_token_id=fast.eos_token_id,
        bos_token_id=fast.bos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder


class ByteTokenizer:
    """Ids are UTF-8 bytes; decodes as tokenizers do, with U+FFFD for what is no character."""

    def __init__(self, chat_template: str | None = None) -> None:
        self.chat_template = chat_template

    def __call__(self, text: str, add_special_tokens: bool, verbose: bool) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}

    def apply_chat_template(
        self, messages: Sequence[dict[str, str]], tokenize: bool, add_generation_prompt: bool
    ) -> str:
        return "".join(f"<{message['role']}>{message['content']}\n" for message in messages) + "<assistant>"

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")


def open_post(url: str, body: object) -> socket.socket:
    """A raw connection to `url` on which `POST /…` with `body` has been sent."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    data = json.dumps(body).encode()
    head = f"POST /{path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(data)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(head.encode() + data)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Every byte until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


BAD_CHATS: list[bytes] = [
    b"",
    b"not json",
    b"[]",
    b"null",
    b"{}",
    b'{"messages": []}',
    b'{"messages": "hi"}',
    b'{"messages": [1]}',
    b'{"messages": [{"role": "user"}]}',
    b'{"messages": [{"role": "robot", "content": "hi"}]}',
    b'{"messages": [{"role": "user", "content": null}]}',
    b'{"messages": [{"role": "user", "content": 1}]}',
    b'{"messages": [{"role": "user", "content": "  "}]}',
    b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
    b'{"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}',
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "user", "content": "\xff"}]}',
    '{"messages": [{"role": "user", "content": "专项债务"}]}'.encode("gbk"),
    *(
        b'{"messages": [{"role": "user", "content": "hi"}], %s}' % field
        for field in (
            b'"temperature": -1',
            b'"temperature": "hot"',
            b'"temperature": NaN',
            b'"top_p": 0',
            b'"top_p": 1.5',
            b'"top_k": -1',
            b'"repetition_penalty": 0',
            b'"seed": 1.5',
            b'"seed": 1e400',
            b'"seed": 99999999999999999999',
            b'"stop": 1',
            b'"stop": [""]',
            b'"max_tokens": 0',
            b'"max_tokens": true',
        )
    ),
]
"""What no chat route takes."""
