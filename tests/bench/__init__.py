"""Benchmarks: each prints both sides and the ratio of one run, and asserts nothing about time."""
