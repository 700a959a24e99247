"""Meaning beside words: passages cut into windows, their vectors, and who makes those."""
