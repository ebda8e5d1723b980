"""Readers (E3): the heads downstream that turn the position signal into the answer, and what their queries look for."""

from dataclasses import dataclass

NAME_MOVER = "name mover"
BACKUP = "backup name mover"
NEGATIVE = "negative name mover"
OTHER = "other"
ROLES = (NAME_MOVER, BACKUP, NEGATIVE, OTHER)


@dataclass(frozen=True)
class Rule:
    """How heads are told apart by their mean direct attribution to LD on clean prompts, as a share of the mean LD.

    Attributes:
        name_mover: From this share on a head is a name mover; from its negative down a negative name mover.
        backup: From this share on a head that is no name mover is a backup.
    """

    name_mover: float
    backup: float

    def __str__(self) -> str:
        return (
            "Mean direct attribution to LD on clean training prompts, as a share of the mean LD: "
            f"{NAME_MOVER} from {self.name_mover:.0%} on, {BACKUP} from {self.backup:.0%} on, "
            f"{NEGATIVE} from -{self.name_mover:.0%} down."
        )

    def role(self, attribution: float, ld_clean: float) -> str:
        """The role of a head with this mean attribution where the mean LD is ``ld_clean``."""
        share = attribution / ld_clean
        if share >= self.name_mover:
            return NAME_MOVER
        if share >= self.backup:
            return BACKUP
        return NEGATIVE if share <= -self.name_mover else OTHER
