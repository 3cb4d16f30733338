"""Rules of the audit: what must hold between documents for their numbers to mean what they say."""
