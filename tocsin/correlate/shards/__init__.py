"""Matching shared among processes: each takes a region of the plane and some of the sources, one tells what all of them found."""
