"""Download a file: resumable, with a progress bar and a verified checksum.

Written here, since pooch deletes what arrived when a connection breaks, and huggingface_hub has
no public function that resumes and verifies the download of any address.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.progress import DownloadColumn, TransferSpeedColumn

from eanet.console import notice, progress_bar
from eanet.errors import EanetError
from eanet.files import lock_folder

ATTEMPTS = 4
BACKOFF_S = 1.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)
_BUSY = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS)


def download(url: str, destination: Path, sha256: str) -> Path:
    """Download ``url`` to ``destination``, which appears complete and verified or not at all.

    An interrupted download stays in ``destination.part`` and is resumed by a later call. Only one
    process at a time downloads into a folder; a file that another has completed meanwhile is used.

    Args:
        url: the address of the file.
        destination: the target file; an existing one is replaced.
        sha256: the expected checksum (hexadecimal).

    Raises:
        EanetError: no connection, no such file, no space, or a wrong checksum.
    """
    part = destination.with_name(destination.name + ".part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        existed = destination.exists()
        with lock_folder(destination.parent, wait=True):
            if destination.exists() and not existed:
                return destination
            part.touch()
            _fetch_with_retries(url, part, destination, sha256)
            if _sha256(part) != sha256:
                part.unlink()
                raise EanetError(
                    f"{url} does not have the expected SHA-256 {sha256}; what arrived was deleted, "
                    "run again to download it anew"
                )
            return part.replace(destination)
    except OSError as error:
        raise EanetError(
            f"cannot write {error.filename or part} ({error.strerror}): free some space, or name "
            "another folder with --data-dir"
        ) from error


def _fetch_with_retries(url: str, part: Path, destination: Path, sha256: str) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _fetch(url, part, destination.name, sha256)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}"
            final = error.code < 500 and error.code not in _BUSY
        except urllib.error.URLError as error:
            reason, final = str(error.reason), False
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            reason, final = str(error) or type(error).__name__, False
        if final or attempt == ATTEMPTS:
            break
        wait = BACKOFF_S * 2 ** (attempt - 1)
        notice(f"download of {destination.name} interrupted ({reason}); retrying in {wait:g} s")
        time.sleep(wait)
    if not part.stat().st_size:
        part.unlink()
    raise EanetError(
        f"cannot download {url} ({reason}): check the connection and run again, or place the file "
        f"at {destination}, or name the folder that has it with --data-dir"
    )


def _fetch(url: str, part: Path, name: str, sha256: str) -> None:
    """Append the missing bytes to ``part``; start over if the server cannot resume."""
    present = part.stat().st_size
    headers = {"User-Agent": "eanet", "Accept-Encoding": "identity"}
    if present:
        headers["Range"] = f"bytes={present}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not present:
            raise
        if _sha256(part) != sha256:  # not complete: another file
            part.write_bytes(b"")
            _fetch(url, part, name, sha256)
        return
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        start = present if resumed else 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        columns = (DownloadColumn(binary_units=False), TransferSpeedColumn())
        with progress_bar(*columns) as bar, part.open("ab" if resumed else "wb") as file:
            task = bar.add_task(name, total=total, completed=start)
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                bar.advance(task, len(chunk))
            received = file.tell()
    if total is not None and received < total:
        raise ConnectionError(f"connection lost after {received:,} of {total:,} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
