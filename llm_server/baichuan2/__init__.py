"""Baichuan2 (7B and 13B, Base and Chat) for current transformers, without the checkpoint's own remote code.

Importing this package makes `AutoConfig`, `AutoModelForCausalLM` and `AutoTokenizer` load an original checkpoint folder
with the classes here; its `auto_map` is never followed. Imports torch: import it only where a model is run.
"""

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from llm_server.baichuan2.config import BaichuanConfig
from llm_server.baichuan2.model import BaichuanForCausalLM
from llm_server.baichuan2.tokenizer import BaichuanTokenizer

__all__ = ["BaichuanConfig", "BaichuanForCausalLM", "BaichuanTokenizer"]

# transformers finds a tokenizer by its class's name: it has to be the one in tokenizer_config.json.
AutoConfig.register(BaichuanConfig.model_type, BaichuanConfig, exist_ok=True)
AutoModelForCausalLM.register(BaichuanConfig, BaichuanForCausalLM, exist_ok=True)
AutoTokenizer.register(BaichuanConfig, BaichuanTokenizer, exist_ok=True)
