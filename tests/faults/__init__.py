"""Faults: each test really kills, removes, fills or stops something, and then counts every message."""
