"""Iteration-level batching: one forward pass a step for all running requests, which join and leave at any step.

`sequence` one request's state, `scheduler` who runs, `kv_cache` the rows' keys and values, `prefix_cache` what is kept
of them for later, `model_runner` one forward pass, `sampler` the next token of each row, `stepper` one iteration,
`engine` the door from outside. Only `scheduler` and `sequence` do without torch.
"""
