"""A day's orders and trades replayed into limit order books, and held against the vendor's snapshots."""
