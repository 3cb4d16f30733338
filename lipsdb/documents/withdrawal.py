"""Withdrawals: which document is not to be trusted any more, why, and who says so; or that it is after all."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from lipsdb.documents.base import Document, Model


class WithdrawalAsked(Model):
    """What is withdrawn, or trusted again."""

    document: str = Field(description="Id of the document.")
    withdrawn: bool = Field(description="True: it is withdrawn. False: its withdrawal is undone.")
    number: int = Field(description="How many such records about the document came before.", ge=0)
    reason: str = Field(description="Why, in the person's words.", min_length=1)
    by: str = Field(description="The person.", min_length=1)


class WithdrawalAnswer(Model):
    """When that was said."""

    at: datetime = Field(description="When the record was made (UTC).")


class Withdrawal(Document):
    """Document of `withdrawals`.

    Its inputs are the document (role 'withdrawn'), with the content that it had, and, if it undoes, the withdrawals
    that it undoes (role 'withdrawal').
    """

    kind: ClassVar[str] = "withdrawal"
    indexes = ([("asked.document", 1), ("asked.number", 1)],)
    asked: WithdrawalAsked
    answer: WithdrawalAnswer
