"""The stages of a round, one file each; `settlement.round.round` carries them out in order.

Each has a function ``carry_out(context)`` that reads the earlier stages' files and writes
its own folder, as a whole or not at all.
"""
