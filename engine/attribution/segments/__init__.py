"""Segments: methods that switch intervals of a spectrum on and off, and share the score out among them."""
