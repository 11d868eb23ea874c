"""What a process is told to do."""

from dataclasses import dataclass

ROLES = ("plain", "flapping", "small disk", "batch")
"""What a process is like, by its number: with clew's own provider, and frameworks that are imported
after clew is started; switched off and on again, with an exporter that fails; with a store on a
disk that fills up, and an exporter that hangs; with the SDK's batch processor."""
DEFECTS = ("model", "threads", "store", "leak", "unended", "kill")


@dataclass(frozen=True)
class Orders:
    """What a process is told to do."""

    number: int
    seed: int
    seconds: float
    port: int
    store: str
    notes: str
    """The folder in which it notes the spans that were written to that store."""
    disk: str = ""
    """The folder of the small disk, if the store is there."""
    disk_is_mounted: bool = False
    frameworks: tuple[str, ...] = ()
    lanes: int = 3
    actions: int | None = None
    """How many actions each lane does; as many as there is time for, with None."""
    defect: str = ""
    """What is made wrong on purpose, to see that it is counted."""

    @property
    def role(self) -> str:
        return role_of(self.number)


def role_of(number: int) -> str:
    """Return the role of the process with this number."""
    return ROLES[number % len(ROLES)]
