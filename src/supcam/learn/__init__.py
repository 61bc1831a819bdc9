"""Samples to weights; the only folder that is all about torch."""
