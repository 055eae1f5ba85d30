"""Schema, calendar and exchange rules: facts about the market, shared by all sources."""
