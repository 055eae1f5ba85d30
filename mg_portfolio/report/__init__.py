"""The weekly report, its charts and the numbers that the sources published."""
