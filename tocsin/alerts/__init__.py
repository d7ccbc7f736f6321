"""5 live: alerts as people work with them - a view of the ALERTS stream that can be deleted and read again at any time."""
