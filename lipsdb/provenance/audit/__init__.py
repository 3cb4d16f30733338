"""Audit: is every document, artifact, link and launch what it says it is, and do the numbers keep the rules?"""

from lipsdb.provenance.audit.findings import Affected, AuditReport, Finding
from lipsdb.provenance.audit.run import DEFAULT_LEVELS, LEVELS, audit
from lipsdb.provenance.audit.views import as_json, as_table

__all__ = ["DEFAULT_LEVELS", "LEVELS", "Affected", "AuditReport", "Finding", "as_json", "as_table", "audit"]
