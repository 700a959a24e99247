"""What config.json says. The 7B and the 13B share a model_type; their keys tell them apart."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class BaichuanConfig(PreTrainedConfig):
    """The defaults are those of the 13B."""

    model_type = "baichuan"
    keys_to_ignore_at_inference = ("past_key_values",)

    vocab_size: int = 125_696
    hidden_size: int = 5120
    intermediate_size: int = 13_696
    num_hidden_layers: int = 40
    num_attention_heads: int = 40
    max_position_embeddings: int | None = None
    """Only the 7B's file has this key, and it has it as well as model_max_length."""
    model_max_length: int = 4096
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = False

    @property
    def uses_alibi(self) -> bool:
        """Whether positions are biases on the scores (13B), not rotations of queries and keys (7B)."""
        return self.max_position_embeddings is None

    @property
    def head_dim(self) -> int:
        return int(self.hidden_size // self.num_attention_heads)
