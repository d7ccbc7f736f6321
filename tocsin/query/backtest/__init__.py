"""What a back-test found, put together: alerts by day, place and source, real incidents caught and missed, near misses, two versions compared, thresholds."""
