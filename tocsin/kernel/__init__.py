"""Tiny utilities every stage may use: clock, faults, backoff, metrics."""
