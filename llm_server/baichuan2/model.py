"""Baichuan2 as transformers loads, caches and generates with it."""

from typing import Any

import torch
from torch import nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

from llm_server.baichuan2.alibi import Alibi
from llm_server.baichuan2.config import BaichuanConfig
from llm_server.baichuan2.layers import Layer, RMSNorm
from llm_server.baichuan2.norm_head import NormHead
from llm_server.baichuan2.rope import Rotation


class BaichuanPreTrainedModel(PreTrainedModel):
    """What transformers needs to know of both classes below."""

    config_class = BaichuanConfig
    base_model_prefix = "model"
    _no_split_modules = ["Layer"]  # noqa: RUF012  # transformers' own declarations
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    # Baichuan-1 and some derived checkpoints store what is computed here.
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_attention_backend = True


class BaichuanModel(BaichuanPreTrainedModel):
    """Token ids to hidden states."""

    def __init__(self, config: BaichuanConfig) -> None:
        super().__init__(config)
        # No padding_idx: id 0 is <unk>, a real token of some texts.
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        *,
        use_cache: bool | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPast:
        """See BaichuanForCausalLM."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give input_ids or inputs_embeds")
        states = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if past_key_values is None and (self.config.use_cache if use_cache is None else use_cache):
            past_key_values = DynamicCache(config=self.config)
        position, mask = self._place(states, attention_mask, position_ids, past_key_values)
        for layer in self.layers:
            states = layer(states, past_key_values, position, mask)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(states), past_key_values=past_key_values)

    def _place(
        self,
        states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        past_key_values: Cache | None,
    ) -> tuple[Alibi | Rotation, torch.Tensor | None]:
        """The positions of the new tokens and, for the 7B, which slots each of them sees."""
        queries = states.shape[1]
        past = int(past_key_values.get_seq_length()) if past_key_values is not None else 0
        if self.config.uses_alibi:
            heads = self.config.num_attention_heads
            alibi = Alibi(heads, queries, past, attention_mask, dtype=states.dtype, device=states.device)
            return alibi, None
        if position_ids is None:
            position_ids = _count_real(attention_mask, past, queries, states.device)
        mask: Any = create_causal_mask(
            config=self.config,
            inputs_embeds=states,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
        )
        return Rotation(position_ids, self.config.head_dim), mask


class BaichuanForCausalLM(BaichuanPreTrainedModel, GenerationMixin):
    """Token ids to the logits of each next token."""

    def __init__(self, config: BaichuanConfig) -> None:
        super().__init__(config)
        self.model = BaichuanModel(config)
        self.lm_head = NormHead(config.hidden_size, config.vocab_size)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # a tuple with output_loading_info
        model.lm_head.normalise()
        return loaded

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        *,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """`queries` new tokens of each row, after those in the cache.

        Args:
            input_ids: (batch, queries).
            attention_mask: (batch, cached slots + queries), 1 for a token and 0 for padding, which may be anywhere.
                None: no padding.
            position_ids: (batch or 1, queries), read by the 7B only; None counts the tokens in the mask. The 13B
                always counts.
            past_key_values: any of transformers' caches; `queries` may be more than 1 on top of one.
            inputs_embeds: (batch, queries, hidden) in place of input_ids.
            use_cache: whether to make a cache where none is given; None leaves it to the config.
            logits_to_keep: logits of the last so many tokens only; 0 is all.
        """
        output = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
        )
        logits = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, past_key_values=output.past_key_values)


def _count_real(attention_mask: torch.Tensor | None, past: int, queries: int, device: torch.device) -> torch.Tensor:
    """(batch or 1, queries): for each new token, how many real ones are before it."""
    if attention_mask is None or attention_mask.dim() != 2:
        return torch.arange(past, past + queries, device=device).unsqueeze(0)
    return (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, past : past + queries]
