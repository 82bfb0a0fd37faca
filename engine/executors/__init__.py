"""Executors: where a block runs. The serial one is the oracle, the Ray pool is for real releases."""
