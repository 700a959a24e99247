"""What makes the answers: one interface, one file for each way."""
