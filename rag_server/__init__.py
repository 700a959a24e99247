"""Answers questions from the indexed documents and shows the evidence (port 1710)."""
