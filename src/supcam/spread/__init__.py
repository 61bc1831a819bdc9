"""Whole metaphase pictures: objects found, typed, counted, and shown to whoever must check them."""
