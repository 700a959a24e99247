"""Fills the passage index from a directory of text files: `python -m es_index [DIR]`."""
