"""The parts of `python -m tools.bench_rag`: what stands in for the other services, the floor, the clients."""
