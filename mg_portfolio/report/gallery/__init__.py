"""Page of an evaluation: published figures beside ours, correlations, and every factor's or signal's own charts."""
