"""What a party does for itself: look, deposit, close, sign, revoke, settle, withdraw."""
