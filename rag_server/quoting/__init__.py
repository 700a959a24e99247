"""Which sentences of the evidence answer a question."""
