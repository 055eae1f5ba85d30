"""A day's orders and trades replayed into limit order books, and compared with the vendor's snapshots."""
