"""Proves the load test against servers whose truth is known: `python -m tools.bench_load_test --json FILE`."""
