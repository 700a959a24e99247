"""Load test of the four services: `python -m tools.load_test --help`.

One run = one load on one service; `loads.py` says which loads there are. The way of a run:

    command.py -> run.py -> drive.py (when is a question asked) -> client.py (one request) -> judge.py (a real answer?)
                         -> recorder.py (Samples) -> figures.py (pure statistics) -> summary.py, files.py, report.py
"""
