# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title Escrow of collaboration rounds
@license MIT
@notice Parties agree to a game and lock deposits, which are their budgets. What everybody pays follows from the
        two: whoever proves it settles the round (`fairness`), or all parties sign a plan of transfers (`consent`),
        as the terms say. Everyone withdraws on its own, or is paid out by anyone. After the settlement
        deadline everyone takes its deposit back. There is no owner, no pause and no upgrade. Nothing is
        said at deployment, so an address made by CREATE2 vouches for code and storage. Room card: contracts/README.md.
"""

import assets
import consent
import fairness
import ledger
import refusals
import rounds
import signatures

initializes: assets
initializes: ledger
initializes: rounds
initializes: consent[ledger := ledger, rounds := rounds]
initializes: fairness[ledger := ledger, rounds := rounds]

exports: (
    assets.held,
    consent.endorse,
    consent.endorsements,
    consent.plan_id,
    consent.revoke,
    consent.settle,
    consent.settle_chunk,
    consent.settle_large,
    fairness.settle_by_proof,
    rounds.agreement,
    rounds.deposits_hash,
    rounds.game_hash,
    rounds.round_of,
    signatures.eip712Domain,
)

MAX_BATCH: constant(uint256) = 256  # parties of a registration or a pay-out
MAX_PARTIES: constant(uint256) = 32768  # 15 bits: the ledger compares two indices at once
SMALL: constant(uint256) = 64  # parties of a proof
MAX_UNITS: constant(uint256) = 2**63 - 1
MAX_UNIT_SCALE: constant(uint256) = 2**96 - 1
MAX_EXCHANGE_RATE: constant(uint256) = 2**48


struct Terms:
    terms_hash: bytes32  # SHA-256 of all that the parties agree to, as a file
    game_hash: bytes32  # SHA-256 of the game: see `fairness` for up to 64 parties, a file of flows beyond
    asset: address  # zero address: ether
    unit_scale: uint256  # wei of the asset a base unit
    exchange_rate: uint256  # base units a unit of value
    quorum_units: uint256  # least sum of deposits; 0: none
    funding_deadline: uint256  # last second of deposits
    settlement_deadline: uint256  # last second of settlement
    n_parties: uint256
    by_proof: bool  # else by signatures


event RoundOpened:
    round_id: indexed(uint256)
    operator: indexed(address)
    terms: Terms


event PartiesRegistered:
    round_id: indexed(uint256)
    first_party: uint256
    parties: DynArray[address, MAX_BATCH]


event Deposited:
    round_id: indexed(uint256)
    party: indexed(uint256)
    units: uint256
    payout: address


event Closed:
    round_id: indexed(uint256)
    party: indexed(uint256)
    payout: address


event Withdrawn:
    round_id: indexed(uint256)
    party: indexed(uint256)
    recipient: address
    units: uint256


event PayoutFailed:
    round_id: indexed(uint256)
    party: indexed(uint256)
    recipient: address
    units: uint256


round_count: public(uint256)
# Who registers further parties (160 bits), and how many there are (above).
opening: HashMap[uint256, uint256]


# Opening and funding


@external
def open_round(terms: Terms, parties: DynArray[address, MAX_BATCH]) -> uint256:
    """
    @notice Opens a round of `terms.n_parties` parties and registers the first of them. The caller becomes the operator.
    """
    if terms.n_parties < 2 or terms.n_parties > MAX_PARTIES:
        refusals._refuse("escrow: parties not 2 to 32768")
    if terms.unit_scale == 0 or terms.unit_scale > MAX_UNIT_SCALE:
        refusals._refuse("escrow: unit scale out of range")
    if terms.exchange_rate > MAX_EXCHANGE_RATE:
        refusals._refuse("escrow: exchange rate too large")
    if terms.by_proof and (terms.exchange_rate == 0 or terms.n_parties > SMALL):
        refusals._refuse("escrow: round has no proof")
    if terms.quorum_units > MAX_UNITS:
        refusals._refuse("escrow: quorum exceeds 63 bits")
    if terms.asset != empty(address) and not terms.asset.is_contract:
        refusals._refuse("escrow: asset is not a contract")
    if terms.funding_deadline <= block.timestamp:
        refusals._refuse("escrow: funding deadline is past")
    if terms.settlement_deadline <= terms.funding_deadline:
        refusals._refuse("escrow: deadlines out of order")
    if terms.settlement_deadline >= 2**40:
        refusals._refuse("escrow: deadline out of range")
    round_id: uint256 = self.round_count + 1
    self.round_count = round_id
    clock: uint256 = (
        rounds.OPENING
        | (terms.n_parties << 16)
        | (terms.settlement_deadline << 32)
        | (terms.funding_deadline << 72)
    )
    if terms.by_proof:
        clock |= rounds.BY_PROOF
    if terms.quorum_units != 0:
        clock |= rounds.HAS_QUORUM
    rounds.game_hash[round_id] = terms.game_hash
    rounds.money[round_id] = convert(terms.asset, uint256) | (terms.unit_scale << 160)
    rounds.rules[round_id] = terms.exchange_rate | (terms.quorum_units << 64)
    log RoundOpened(round_id=round_id, operator=msg.sender, terms=terms)
    self._register(round_id, clock, sha256(abi_encode(chain.id, self, msg.sender, terms)), 0, parties)
    return round_id


@external
def register(round_id: uint256, parties: DynArray[address, MAX_BATCH]):
    """
    @notice Registers the next parties of a round too large for one transaction.
    """
    clock: uint256 = rounds.clock[round_id]
    if clock & 255 != rounds.OPENING:
        refusals._refuse("escrow: round takes no parties")
    opening: uint256 = self.opening[round_id]
    if opening & rounds.ADDRESS != convert(msg.sender, uint256):
        refusals._refuse("escrow: caller is not operator")
    self._register(round_id, clock, rounds.agreement[round_id], opening >> 160, parties)


@internal
def _register(
    round_id: uint256, clock: uint256, before: bytes32, first: uint256, parties: DynArray[address, MAX_BATCH]
):
    n_parties: uint256 = rounds._n_parties(clock)
    if first + len(parties) > n_parties:
        refusals._refuse("escrow: too many parties")
    agreement: bytes32 = before
    party: uint256 = first
    for account: address in parties:
        if account == empty(address):
            refusals._refuse("escrow: party is address zero")
        rounds.seats[rounds._key(round_id, party)] = convert(account, uint256)
        agreement = sha256(concat(agreement, convert(account, bytes32)))
        party += 1
    rounds.agreement[round_id] = agreement
    log PartiesRegistered(round_id=round_id, first_party=first, parties=parties)
    if party == n_parties:
        if rounds.round_of[agreement] != 0:
            refusals._refuse("escrow: round was opened before")
        rounds.round_of[agreement] = round_id
        rounds._enter(round_id, clock, rounds.FUNDING)
    else:
        self.opening[round_id] = convert(msg.sender, uint256) | (party << 160)
        rounds.clock[round_id] = clock


@external
@payable
def deposit(round_id: uint256, party: uint256, agreement: bytes32, units: uint256, payout: address, last: bool):
    """
    @notice Locks `units` base units of the caller, who is that party and names what it agrees to: chain, escrow,
            operator, terms with the game, and parties. Deposits add up; they are the party's budget. `payout`
            is where anyone may have the party paid out, zero: nobody may. `last` closes.
    """
    self._deposit(round_id, party, agreement, units, payout, last)


@external
@payable
def deposit_with_permit(
    round_id: uint256,
    party: uint256,
    agreement: bytes32,
    units: uint256,
    payout: address,
    last: bool,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice The same for a token, with the caller's EIP-2612 permit. A permit that somebody else brought first
            still counts: what matters is whether the token then moves.
    """
    money: uint256 = rounds.money[round_id]
    if money & rounds.ADDRESS != 0:
        # What overflows here is refused below, in words.
        asset: address = convert(money & rounds.ADDRESS, address)
        assets._permit(asset, msg.sender, unsafe_mul(units, money >> 160), deadline, v, r, s)
    self._deposit(round_id, party, agreement, units, payout, last)


@external
def close(round_id: uint256, party: uint256, agreement: bytes32, payout: address):
    """
    @notice The caller, who is that party, will deposit no more, or nothing at all. Final. When all have closed,
            funding is over.
    """
    self._fund(round_id, party, agreement, 0, payout, True)
    log Closed(round_id=round_id, party=party, payout=payout)


@internal
@payable
def _deposit(round_id: uint256, party: uint256, agreement: bytes32, units: uint256, payout: address, last: bool):
    if units == 0:
        refusals._refuse("escrow: deposit of nothing")
    self._fund(round_id, party, agreement, units, payout, last)
    ledger._add(round_id, party, units)
    money: uint256 = rounds.money[round_id]
    assets._receive(convert(money & rounds.ADDRESS, address), msg.sender, units * (money >> 160))
    log Deposited(round_id=round_id, party=party, units=units, payout=payout)
    if last:
        log Closed(round_id=round_id, party=party, payout=payout)


@internal
def _fund(round_id: uint256, party: uint256, agreement: bytes32, units: uint256, payout: address, last: bool):
    """
    @notice Notes a deposit or the end of a party's deposits; the money has still to come.
    """
    clock: uint256 = rounds.clock[round_id]
    if clock & 255 != rounds.FUNDING:
        refusals._refuse("escrow: round takes no deposits")
    if block.timestamp > (clock >> 72) & rounds.TIME:
        refusals._refuse("escrow: funding deadline passed")
    seat: uint256 = rounds._seat(round_id, clock, party)
    if seat & rounds.CLOSED != 0:
        refusals._refuse("escrow: party has closed")
    if agreement != rounds.agreement[round_id]:
        refusals._refuse("escrow: not the agreed round")
    if units > unsafe_sub(MAX_UNITS, rounds._total_units(clock)):
        refusals._refuse("escrow: deposits exceed 63 bits")
    clock += units << 128
    key: uint256 = rounds._key(round_id, party)
    marked: uint256 = convert(msg.sender, uint256)
    if payout == msg.sender:
        marked |= rounds.PAID_AT_OWN_ADDRESS
    elif payout != empty(address):
        marked |= rounds.PAID_ELSEWHERE
        rounds.payouts[key] = payout
    if last:
        marked |= rounds.CLOSED
        clock += 2**112
    if marked != seat:
        rounds.seats[key] = marked
    rounds.clock[round_id] = clock
    if units != 0 and clock & rounds.BY_PROOF == 0:
        rounds.deposits_hash[round_id] = sha256(
            concat(rounds.deposits_hash[round_id], convert(party, bytes32), convert(units, bytes32))
        )


# Ways out


@external
def withdraw(round_id: uint256, party: uint256, recipient: address) -> uint256:
    """
    @notice Pays the whole claim of the caller, who is that party, to `recipient`: after settlement deposit plus net
            position, else, once the round has expired or missed its quorum, the deposit.
    """
    clock: uint256 = self._ended_clock(round_id)
    seat: uint256 = rounds._seat(round_id, clock, party)
    if recipient == empty(address):
        refusals._refuse("escrow: no recipient")
    units: uint256 = ledger._take(round_id, party, clock & 255 == rounds.SETTLED_IN_CHUNKS)
    if units == 0:
        refusals._refuse("escrow: nothing to withdraw")
    # A mistake in the packed ledger could not take out more than the deposits of this round.
    rounds.clock[round_id] = self._reduced(clock, units)
    log Withdrawn(round_id=round_id, party=party, recipient=recipient, units=units)
    money: uint256 = rounds.money[round_id]
    assets._send(convert(money & rounds.ADDRESS, address), recipient, units * (money >> 160))
    return units


@external
def pay_out(round_id: uint256, parties: DynArray[uint256, MAX_BATCH]):
    """
    @notice Pays parties their whole claims at the addresses that they fixed when they deposited or closed. Anyone may call. A
            party that fixed none, or has nothing, is passed over; one whose payment fails keeps its claim.
    """
    clock: uint256 = self._ended_clock(round_id)
    chunked: bool = clock & 255 == rounds.SETTLED_IN_CHUNKS
    n_parties: uint256 = rounds._n_parties(clock)
    money: uint256 = rounds.money[round_id]
    asset: address = convert(money & rounds.ADDRESS, address)
    for party: uint256 in parties:
        if party >= n_parties:
            refusals._refuse("escrow: no such party")
        key: uint256 = rounds._key(round_id, party)
        seat: uint256 = rounds.seats[key]
        recipient: address = convert(seat & rounds.ADDRESS, address)
        if seat & rounds.PAID_AT_OWN_ADDRESS == 0:
            if seat & rounds.PAID_ELSEWHERE == 0:
                continue
            recipient = rounds.payouts[key]
        units: uint256 = ledger._take(round_id, party, chunked)
        if units == 0:
            continue
        if assets._push(asset, recipient, units * (money >> 160)):
            clock = self._reduced(clock, units)
            log Withdrawn(round_id=round_id, party=party, recipient=recipient, units=units)
        else:
            ledger._add(round_id, party, units)
            log PayoutFailed(round_id=round_id, party=party, recipient=recipient, units=units)
    rounds.clock[round_id] = clock


@internal
@pure
def _reduced(clock: uint256, units: uint256) -> uint256:
    """
    @notice The clock with so many units less in the escrow; reverts if the round has not so many.
    """
    if units > rounds._total_units(clock):
        refusals._refuse("escrow: ledger is broken")
    return clock - (units << 128)


@internal
@view
def _ended_clock(round_id: uint256) -> uint256:
    """
    @notice The clock of a round whose claims may leave: settled, expired, or funded below its quorum.
    """
    clock: uint256 = rounds.clock[round_id]
    state: uint256 = clock & 255
    if state == 0:
        refusals._refuse("escrow: no such round")
    if (
        state < rounds.SETTLED
        and block.timestamp <= rounds._settlement_deadline(clock)
        and not (rounds._funding_has_ended(clock) and rounds._misses_quorum(round_id, clock))
    ):
        refusals._refuse("escrow: round is still open")
    return clock


# Views


@external
@view
def claim(round_id: uint256, party: uint256) -> uint256:
    """
    @notice Base units that the party has in the escrow: its deposit, or after settlement deposit plus net.
    """
    clock: uint256 = rounds.clock[round_id]
    if party >= rounds._n_parties(clock):
        refusals._refuse("escrow: no such party")
    return ledger._claim(round_id, party, clock & 255 == rounds.SETTLED_IN_CHUNKS)


@external
@view
def state(round_id: uint256) -> uint256:
    """
    @notice State of a round: 1 opening, 2 funding, 3 settling, 4 settled, 5 settled in chunks; 0: no such round.
    """
    return rounds.clock[round_id] & 255


@external
@view
def figures(round_id: uint256) -> (uint256, uint256, uint256):
    """
    @notice How many parties have closed, what lies in the escrow in base units, how often somebody has revoked.
    """
    clock: uint256 = rounds.clock[round_id]
    return (clock >> 112) & rounds.SIXTEEN, rounds._total_units(clock), clock >> 192


@external
@view
def seat(round_id: uint256, party: uint256) -> (address, bool, address):
    """
    @notice Address of a party, whether it has closed, and where it may be paid out; zero: nowhere.
    """
    if party >= rounds._n_parties(rounds.clock[round_id]):
        refusals._refuse("escrow: no such party")
    key: uint256 = rounds._key(round_id, party)
    seat: uint256 = rounds.seats[key]
    account: address = convert(seat & rounds.ADDRESS, address)
    payout: address = empty(address)
    if seat & rounds.PAID_AT_OWN_ADDRESS != 0:
        payout = account
    elif seat & rounds.PAID_ELSEWHERE != 0:
        payout = rounds.payouts[key]
    return account, seat & rounds.CLOSED != 0, payout
