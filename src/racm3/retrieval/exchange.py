"""A memory as one Parquet file, and back: the same ids, bytes and vectors, the same gone."""

import json
from pathlib import Path
from typing import Any

from racm3.errors import MemoryStoreError, SourceError
from racm3.retrieval.embedding import Sides
from racm3.retrieval.entry import OWN_COLUMNS
from racm3.retrieval.memory import MemoryStore
from racm3.runtime import folder_written_whole

ABOUT = b"racm3"


def export_memory(store: MemoryStore, path: Path) -> int:
    """Write every row, a batch at a time; the number of documents. The file is whole or not there.

    Two memories with the same documents, from which the same was removed, write the same bytes.
    """
    import pyarrow.parquet as parquet

    about = {name: store.about[name] for name in ("encoder", "dim", "next_id")}
    about["sides"] = store.about.get("sides")
    about["removed"] = sorted(store.notes.removed())
    temporary, count, writer = path.with_name(f".{path.name}.tmp"), 0, None
    path.parent.mkdir(parents=True, exist_ok=True)
    for batch in store.batches():
        if writer is None:
            schema = batch.schema.with_metadata({ABOUT: json.dumps(about, sort_keys=True)})
            writer = parquet.ParquetWriter(temporary, schema)
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        count += batch.num_rows
    if writer is None:
        raise SourceError(f"the memory at {store.path} is empty: there is nothing to write")
    writer.close()
    temporary.replace(path)
    return count


def restore_memory(path: Path, folder: Path) -> MemoryStore:
    """A new memory of what `export_memory` wrote: all of it, or none if it is stopped halfway."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file ({error})") from error
    about: dict[str, Any] = json.loads((file.schema_arrow.metadata or {}).get(ABOUT, b"null"))
    missing = sorted(set(OWN_COLUMNS) - set(file.schema_arrow.names))
    if about is None or missing:
        raise SourceError(
            f"{path} was not written by `racm3 memory export`; build a memory of it with "
            "`racm3 memory build`"
        )
    if folder.exists():
        raise MemoryStoreError(f"there is something at {folder} already; choose another folder")
    with folder_written_whole(folder) as temporary:
        sides = Sides.of(about.get("sides"))
        store = MemoryStore.create(
            temporary, encoder=about["encoder"], dim=about["dim"], sides=sides
        )
        rows, names = file.iter_batches(256), file.schema_arrow.names
        store.append(rows, names, next_id=about["next_id"])
        store.notes.keep_away(about.get("removed", ()))
    return MemoryStore.open(folder)
