"""The parts of running a model with transformers that do not depend on how requests are scheduled."""
