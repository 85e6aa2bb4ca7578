"""Where the archive of a published data set is, or the folder extracted from it."""

from __future__ import annotations

import os
from pathlib import Path

from eanet.config import DataSettings
from eanet.data.download import download
from eanet.files import cache_dir, user_path


def find_published(
    settings: DataSettings, url: str, sha256: str, *, folder: str, member: str
) -> Path:
    """Return the archive, or the folder extracted from it; download the archive if missing.

    Args:
        settings: ``data_dir``, else $EANET_DATA_DIR, else the cache, is where both are looked for;
            or it is one of them.
        url: where the archive is published, under its name.
        sha256: its checksum (hexadecimal).
        folder: the name of the folder in it.
        member: a file of that folder, which tells it.

    Raises:
        EanetError: the archive cannot be downloaded.
    """
    base = user_path(settings.data_dir or os.environ.get("EANET_DATA_DIR") or cache_dir())
    if base.is_file() or (base / member).is_file():
        return base
    archive = base / url.rpartition("/")[2]
    for place in (archive, base / folder):
        if place.exists():
            return place
    return download(url, archive, sha256)
