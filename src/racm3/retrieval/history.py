"""Earlier states of a memory's table, and what they still hold of removed documents."""

from datetime import timedelta
from pathlib import Path


def forget(table: Path) -> None:
    """Rewrite every file that holds deleted rows, then drop all earlier versions."""
    import lance

    dataset = lance.dataset(str(table))
    dataset.optimize.compact_files(materialize_deletions_threshold=0.0)
    dataset.cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)


def remains(table: Path) -> list[str]:
    """Deleted rows that still lie in a file, as a sentence."""
    import lance

    dataset = lance.dataset(str(table))
    deleted = sum(f.count_rows() < f.physical_rows for f in dataset.get_fragments())
    return [f"{deleted} files still hold removed documents; remove them again"] * bool(deleted)
