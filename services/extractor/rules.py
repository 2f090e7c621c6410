"""Approval by rule: what is sure and said often counts as approved, until it is less or a person speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection

QUERIES = sql.load(Path(__file__).with_name("rules.sql"))


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """Approve at this confidence (0..1) with evidence in so many messages; 0 messages switch the rule off."""

    confidence_min: float = 0.8
    evidence_min: int = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is approved by rule."""
        return self.evidence_min > 0

    @property
    def reason(self) -> str:
        """What a review by this rule says."""
        return f"by rule: confidence of at least {self.confidence_min:g} and {self.evidence_min} messages"


NO_RULE: Final = ApprovalRule()


async def apply(
    connection: Connection, workspace: UUID, rule: ApprovalRule, atoms: Sequence[UUID]
) -> None:
    """Approve atoms that satisfy the rule, and take back approvals by rule of those that no longer do."""
    measures = (rule.confidence_min, rule.evidence_min)
    await connection.execute(QUERIES["withdraw"], workspace, atoms, *measures)
    if rule.is_on:
        await connection.execute(QUERIES["approve"], workspace, atoms, *measures, rule.reason)
