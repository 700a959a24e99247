"""Baichuan2 once more: slow, in float64, head by head and token by token, from its published facts alone.

Shares no code with llm_server.baichuan2, so that a mistake there can not hide here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = Any
Weights = Mapping[str, Array]


def alibi_slopes(heads: int) -> list[float]:
    """The paper's own recursion: a geometric series for a power of two, every other of the next one's for the rest."""
    if heads & (heads - 1) == 0:
        ratio = 2.0 ** (-8.0 / heads)
        return [ratio ** (k + 1) for k in range(heads)]
    p = 2 ** int(np.log2(heads))
    return alibi_slopes(p) + alibi_slopes(2 * p)[0::2][: heads - p]


def logits(config: Mapping[str, Any], weights: Weights, ids: Sequence[int]) -> Array:
    """(len(ids), vocabulary)."""
    weights = {name: np.asarray(weight, dtype=np.float64) for name, weight in weights.items()}
    x = weights["model.embed_tokens.weight"][list(ids)]
    for n in range(config["num_hidden_layers"]):
        layer = {name.split(".", 3)[3]: w for name, w in weights.items() if name.startswith(f"model.layers.{n}.")}
        x = x + attention(config, layer, rms_norm(x, layer["input_layernorm.weight"]))
        h = rms_norm(x, layer["post_attention_layernorm.weight"])
        gate = h @ layer["mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ layer["mlp.up_proj.weight"].T)) @ layer["mlp.down_proj.weight"].T
    head = weights["lm_head.weight"]
    head = head / np.maximum(np.sqrt((head**2).sum(1, keepdims=True)), 1e-12)
    return rms_norm(x, weights["model.norm.weight"]) @ head.T


def rms_norm(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * weight


def attention(config: Mapping[str, Any], layer: Weights, x: Array) -> Array:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size = hidden // heads
    packed = layer["self_attn.W_pack.weight"]
    query, key, value = (x @ packed[i * hidden : (i + 1) * hidden].T for i in range(3))
    rotates = "max_position_embeddings" in config
    slopes = alibi_slopes(heads)
    out = np.zeros_like(x)
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        q, k, v = query[:, part], key[:, part], value[:, part]
        if rotates:
            q, k = rotated(q), rotated(k)
        for i in range(len(x)):
            scores = np.array([q[i] @ k[j] / np.sqrt(size) for j in range(i + 1)])
            if not rotates:
                scores -= [slopes[h] * (i - j) for j in range(i + 1)]
            shares = np.exp(scores - scores.max())
            out[i, part] = shares / shares.sum() @ v[: i + 1]
    return out @ layer["self_attn.o_proj.weight"].T


def rotated(states: Array) -> Array:
    """Each pair (d, d + size / 2) as a complex number, turned."""
    half = states.shape[1] // 2
    angles = np.outer(np.arange(len(states)), 10_000.0 ** (-np.arange(half) / half))
    turned = (states[:, :half] + 1j * states[:, half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=1)


def chat_ids(
    encode: Callable[[str], list[int]], messages: Sequence[Mapping[str, str]], max_new_tokens: int, window: int
) -> list[int]:
    """The published code's prompt with its own cut, from the left through everything."""
    most = window - max_new_tokens
    has_system = messages[0]["role"] == "system"
    system = encode(messages[0]["content"]) if has_system else []
    rounds: list[list[int]] = []
    for message in messages[has_system:]:
        if message["role"] == "user" or not rounds:
            rounds.append([])
        rounds[-1] += [195 if message["role"] == "user" else 196, *encode(message["content"])]
    history = rounds[-1]
    for older in reversed(rounds[:-1]):
        if len(history) >= most - len(system) or len(history) + len(older) > most - len(system):
            break
        history = older + history
    ids = system + history + ([] if messages[-1]["role"] == "assistant" else [196])
    return ids[-most:]
