"""Blocks -> what the document is (facts) and where in it each block stands (outline). Pure functions."""
