"""Serves one language model: the tutorial's `POST /` and OpenAI's protocol (port 1707)."""
