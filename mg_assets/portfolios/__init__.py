"""From the lake to portfolios and back: decision panels, weekly weights, studies, trading rules and what-if."""
