"""The next token of each row: ChooseToken's order of steps, for many requests at once.

Repetition penalty, temperature, top_k, top_p, then one draw, which takes a single random number from the request's own
generator: a seed reproduces whatever else runs, and nobody else's random numbers move.
"""

from collections import defaultdict
from collections.abc import Sequence as Many

import torch
from transformers import RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from llm_server.batch.sequence import Sequence
from llm_server.model.sampling import Choice

Chosen = list[int | ArithmeticError]
"""One entry a row: a token id, or why there is none."""


class Chooser:
    """What the sampler remembers of one request."""

    def __init__(self, choice: Choice) -> None:
        self.generator = torch.Generator()
        if choice.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(choice.seed)

    def draw(self) -> float:
        """A number from [0, 1)."""
        return float(torch.rand((), generator=self.generator, dtype=torch.float64))


def choose(logits: torch.Tensor, sequences: Many[Sequence]) -> Chosen:
    """`logits` is (rows, vocabulary) in float32, a row for each of `sequences`; it stays as it is."""
    penalised = [row for row, sequence in enumerate(sequences) if sequence.choice.repetition_penalty != 1]
    logits = logits.clone() if penalised else logits
    for row in penalised:
        _penalise(logits[row : row + 1], sequences[row])
    most, best = logits.max(dim=-1)  # NaN counts as the largest
    chosen: Chosen = list(best.tolist())
    for row, unusable in enumerate(torch.isnan(most).tolist()):
        if unusable:
            chosen[row] = ArithmeticError("the model's output is NaN")
    alike: defaultdict[tuple[float, int, float], list[int]] = defaultdict(list)
    for row, sequence in enumerate(sequences):
        if sequence.choice.temperature and not isinstance(chosen[row], ArithmeticError):
            alike[(sequence.choice.temperature, sequence.choice.top_k, sequence.choice.top_p)].append(row)
    for rows in alike.values():
        scores = _warp(logits if len(rows) == len(sequences) else logits[rows], sequences[rows[0]].choice)
        for row, token in zip(rows, _draw(scores, [sequences[row] for row in rows]), strict=True):
            chosen[row] = token
    return chosen


def log_probs(logits: torch.Tensor, ids: Many[int]) -> list[float]:
    """Of each of `ids` to come next; `logits` is (vocabulary,).

    Raises:
        ArithmeticError: the model's output is NaN.
    """
    scores = torch.log_softmax(logits, dim=-1)
    if torch.isnan(scores).any():
        raise ArithmeticError("the model's output is NaN")
    return [float(score) for score in scores[list(ids)]]


def _penalise(logits: torch.Tensor, sequence: Sequence) -> None:
    seen = torch.tensor([sequence.ids], device=logits.device)
    logits.copy_(RepetitionPenaltyLogitsProcessor(sequence.choice.repetition_penalty)(seen, logits))


def _warp(scores: torch.Tensor, choice: Choice) -> torch.Tensor:
    none: torch.Tensor = scores.new_empty(0)  # these three do not look at the tokens so far
    if choice.temperature != 1:
        scores = TemperatureLogitsWarper(choice.temperature)(none, scores)
    if choice.top_k:
        scores = TopKLogitsWarper(choice.top_k)(none, scores)
    if choice.top_p < 1:
        scores = TopPLogitsWarper(choice.top_p)(none, scores)
    return scores


def _draw(scores: torch.Tensor, sequences: Many[Sequence]) -> list[int]:
    """Where each request's random number falls in the running sum of the probabilities."""
    sums = torch.softmax(scores, dim=-1, dtype=torch.float64).cumsum(dim=-1)
    numbers = torch.tensor([[_chooser(one).draw()] for one in sequences], dtype=torch.float64, device=scores.device)
    # Right: a token of probability 0 repeats the sum before it and must never be hit.
    found = torch.searchsorted(sums, numbers * sums[:, -1:], right=True)
    # A product rounded up to the whole sum lies behind all tokens; the last possible one is meant.
    last = scores.shape[-1] - 1 - torch.isfinite(scores).flip(-1).long().argmax(dim=-1, keepdim=True)
    tokens: list[int] = torch.minimum(found, last)[:, 0].tolist()
    return tokens


def _chooser(sequence: Sequence) -> Chooser:
    if sequence.chooser is None:
        sequence.chooser = Chooser(sequence.choice)
    chooser: Chooser = sequence.chooser
    return chooser
