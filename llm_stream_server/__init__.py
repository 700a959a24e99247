"""Streams the model's answers as plain text, as the tutorial's second service did; holds no model (port 1708)."""
