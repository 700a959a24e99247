"""What a question that leans on the history means: whether it does, and its full form, with a model and without."""
