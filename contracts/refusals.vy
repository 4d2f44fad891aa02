# pragma version 0.4.3
"""
@title Why something is refused
@license MIT
@notice One place that raises: a sentence raised where it is found costs twice the code, and the escrow is near
        the size limit of a contract.
"""


@internal
@pure
def _refuse(reason: String[32]):
    raise reason
