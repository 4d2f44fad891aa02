"""The chain: artifacts, providers, the escrow client, signing and the journal."""
