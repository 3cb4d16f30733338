"""Identity and content hashes, lineage, audit, withdrawal."""
