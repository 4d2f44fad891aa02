"""The escrow contract: its client, events, books, signatures and twin."""
