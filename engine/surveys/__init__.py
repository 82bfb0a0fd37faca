"""Layouts: which files a release holds and how they belong together."""
