"""The measurements behind `python -m tools.evaluate`: one module each, with `run(bench) -> Table`."""
