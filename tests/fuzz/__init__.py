"""Fuzzing: whatever comes in, only our own errors come out, and memory stays flat."""
