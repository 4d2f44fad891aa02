"""Where rounds are played: the escrow and its twin side by side, and what goes wrong there."""
