"""Documents in, passages out: `python -m tools.preprocess IN_DIR OUT_DIR`.

    a file ── readers/ ──▶ Source (blocks) ── structure/ ──▶ Facts, Parts ── passages.py ──▶ Pieces ── output.py ──▶ txt

Reading knows formats and pages, structure knows Chinese documents, cutting knows sizes; each stage is pure over frozen
values. `run.py` brings a folder to the state of another, `pool.py` keeps every file in a worker process with limits.
"""
