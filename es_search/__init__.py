"""Searches the passage index over HTTP: `python -m es_search`."""
