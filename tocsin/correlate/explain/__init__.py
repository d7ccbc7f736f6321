"""Why a rule rang, and why it did not: every clause of it at a place and a time, with how far it was from its threshold."""
