"""Report: one HTML page about a store. Import ``page``. Nothing here computes a score or an explanation."""
