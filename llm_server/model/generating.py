"""One answer by transformers' own `generate()`. Imports torch: import this module only where a model is loaded."""

from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llm_server.model.answer import Answer
from llm_server.model.loaded import LoadedModel
from llm_server.model.sampling import Choice


def generate(loaded: LoadedModel, prompt_ids: list[int], choice: Choice, answer: Answer) -> None:
    """Feed `answer` token by token until it has ended. Raises whatever the model raises."""
    model = loaded.model
    input_ids = torch.tensor([prompt_ids], device=model.device)
    config = GenerationConfig(
        max_new_tokens=choice.max_tokens,
        do_sample=False,  # ChooseToken samples, with a generator of its own
        eos_token_id=list(loaded.stop_ids) or None,
        pad_token_id=loaded.stop_ids[0] if loaded.stop_ids else 0,
    )
    with torch.inference_mode():
        model.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            generation_config=config,
            logits_processor=LogitsProcessorList([ChooseToken(choice, model.device)]),
            stopping_criteria=StoppingCriteriaList([_GiveToAnswer(answer)]),
        )


class ChooseToken(LogitsProcessor):
    """Repetition penalty, temperature, top_k, top_p, then one draw: all other tokens become impossible.

    The draw comes from the request's own generator, so a seed reproduces and nobody else's random numbers move.
    """

    def __init__(self, choice: Choice, device: torch.device) -> None:
        self._greedy = choice.temperature == 0
        self._generator = torch.Generator(device)
        if choice.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(choice.seed)
        self._steps: list[Any] = []
        if choice.repetition_penalty != 1:
            self._steps.append(RepetitionPenaltyLogitsProcessor(choice.repetition_penalty))
        if self._greedy:
            return
        if choice.temperature != 1:
            self._steps.append(TemperatureLogitsWarper(choice.temperature))
        if choice.top_k:
            self._steps.append(TopKLogitsWarper(choice.top_k))
        if choice.top_p < 1:
            self._steps.append(TopPLogitsWarper(choice.top_p))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` is (1, vocabulary) in float32."""
        if torch.isnan(scores).any():
            raise ArithmeticError("the model's output is NaN")
        for step in self._steps:
            scores = step(input_ids, scores)
        if self._greedy:
            return scores
        drawn = torch.multinomial(torch.softmax(scores, dim=-1), 1, generator=self._generator)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


class _GiveToAnswer(StoppingCriteria):
    """Called once a token; on CUDA, transformers makes one step more before it obeys."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        if not self._answer.ended:
            self._answer.take(int(input_ids[0, -1]))
        return torch.tensor([self._answer.ended], device=input_ids.device)
