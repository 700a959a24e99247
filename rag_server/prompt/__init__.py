"""What of the evidence a model may read, and how much of it fits."""
