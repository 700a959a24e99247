"""Measures tools.preprocess on documents whose truth is known: `python -m tools.bench_preprocess`."""
