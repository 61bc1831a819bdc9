"""Weights to a folder that can travel: pack it, verify it, run it, score it."""
