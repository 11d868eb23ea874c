"""Claims on an engine: which process evaluates the sessions in which range, without transactions.

A session's id hashes to one of `RANGES`, and a range is claimed for each evaluator. Rows are only
added. Whoever wants a range that nobody has adds a row, and looks then: it is theirs if there is no
other one. Of two that do so at the same time at least one sees the other, so it is never theirs
both. The one with the greater number withdraws; the other one looks again.

This needs what a server does that others write to as well: a row that was added is seen by whoever
looks later.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from secrets import randbits
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple

from clew.core.errors import ClewError
from clew.evaluations.running.claims import LEASE_SECONDS, RENEWALS, is_gone, new_owner
from clew.sessions.engines.asking import rows
from clew.sessions.engines.engine import Engine

logger = logging.getLogger("clew")

RANGES = 4096
"""So many that few sessions are in one, also where there are a million."""
_LOOKS = 5
"""How often whoever has the least number looks whether the others have withdrawn."""
_SECONDS_BETWEEN_LOOKS = 0.05
_BILLION = 10**9
_DAY_NS = 24 * 3600 * _BILLION
_LIVE = """
SELECT hash_range, name, owner, claim FROM clew_claims
WHERE hash_range IN ({ranges}) AND name IN ({names})
GROUP BY hash_range, name, owner, claim
HAVING min(until_ns) > 0 AND max(until_ns) > ?
"""


class Key(NamedTuple):
    """What is claimed: the sessions of a range, for an evaluator."""

    hash_range: int
    name: str


class _Held(NamedTuple):
    claim: int
    until: float
    """Until when it is ours, by this process's own clock."""


def range_of(session_id: str) -> int:
    """Return the range of a session, which is the same everywhere."""
    digest = sha256(session_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) % RANGES


class EngineClaims:
    """The claims of one run, which are renewed until it is closed."""

    def __init__(self, tables: Engine, lease_seconds: float = LEASE_SECONDS) -> None:
        self.owner = new_owner()
        self._tables = tables
        self._lease_seconds = lease_seconds
        self._held: dict[Key, _Held] = {}
        self._lock = Lock()
        self._closed = Event()
        self._renewing = Thread(target=self._renew, name="clew-claims", daemon=True)
        self._renewing.start()

    def take(self, keys: Iterable[Key]) -> set[Key]:
        """Claim these; return those that are ours now, or were already."""
        wanted = set(keys)
        ours = {it for it in wanted if self.holds(it)}
        bids = self.free(wanted - ours)
        if not bids:
            return ours
        number = randbits(62)
        begun = monotonic()
        self._write(dict.fromkeys(bids, number), self._lease_seconds)
        for look in range(_LOOKS):
            if look:
                sleep(_SECONDS_BETWEEN_LOOKS)
            rivals = self._live(bids, number)
            won = bids - rivals.keys()
            with self._lock:
                for key in won:
                    self._held[key] = _Held(number, begun + self._lease_seconds)
            ours |= won
            lost = {it for it, claims in rivals.items() if min(claims) < number}
            self._write(dict.fromkeys(lost, number), None)
            bids -= won | lost
            if not bids:
                return ours
        self._write(dict.fromkeys(bids, number), None)
        return ours

    def free(self, keys: Iterable[Key]) -> set[Key]:
        """Return those of *keys* that nobody else has claimed, or only processes that are gone."""
        wanted = set(keys)
        return wanted - self._live(wanted).keys()

    def holds(self, key: Key) -> bool:
        """Whether a claim is ours, and was renewed in time."""
        with self._lock:
            held = self._held.get(key)
        return held is not None and monotonic() < held.until

    def release(self, keys: Collection[Key]) -> None:
        """Give claims back."""
        with self._lock:
            given = {it: held.claim for it in keys if (held := self._held.pop(it, None))}
        self._write(given, None)

    def sweep(self) -> None:
        """Delete claims that ended long ago, where the engine does not do that by itself."""
        if self._tables.replaces:
            before = self._tables.now_ns() - _DAY_NS
            self._tables.execute(f"DELETE FROM clew_claims WHERE made_ns < {before}")

    def close(self) -> None:
        """Give all claims back, and renew none any more."""
        self._closed.set()
        self._renewing.join()
        self.release(list(self._held))

    def _live(self, keys: Collection[Key], own: int | None = None) -> dict[Key, set[int]]:
        """Return which of *keys* others have claimed, with the numbers of their claims."""
        if not keys:
            return {}
        ranges = sorted({it.hash_range for it in keys})
        names = sorted({it.name for it in keys})
        query = _LIVE.format(ranges=", ".join("?" * len(ranges)), names=", ".join("?" * len(names)))
        given = (*ranges, *names, self._tables.now_ns())
        found: dict[Key, set[int]] = {}
        for hash_range, name, owner, claim in rows(self._tables, query, given):
            key = Key(hash_range, name)
            if key in keys and claim != own and owner != self.owner and not is_gone(owner):
                found.setdefault(key, set()).add(claim)
        return found

    def _write(self, claims: Mapping[Key, int], seconds: float | None) -> None:
        """Add rows that claim, or renew, for so many *seconds*; with None, that give back."""
        if not claims:
            return
        now = self._tables.now_ns()
        until = 0 if seconds is None else now + int(seconds * _BILLION)
        self._tables.insert(
            "clew_claims",
            [
                {
                    "hash_range": key.hash_range,
                    "name": key.name,
                    "owner": self.owner,
                    "claim": claim,
                    "until_ns": until,
                    "made_ns": now,
                }
                for key, claim in claims.items()
            ],
        )

    def _renew(self) -> None:
        while not self._closed.wait(self._lease_seconds / RENEWALS):
            with self._lock:
                held = {key: it for key, it in self._held.items() if monotonic() < it.until}
            begun = monotonic()
            try:
                self._write({key: it.claim for key, it in held.items()}, self._lease_seconds)
            except ClewError as error:
                logger.warning("clew: the claims of sessions cannot be renewed now: %s", error)
                continue
            with self._lock:
                for key, it in held.items():
                    # What was seen too late does not count: another one may have claimed it.
                    if self._held.get(key) == it and monotonic() < it.until:
                        self._held[key] = _Held(it.claim, begun + self._lease_seconds)
