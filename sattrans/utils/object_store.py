"""The one door to obstore, which talks to object storage: list, read, write and delete objects, with errors in a line.

GDAL reads addresses, too. So both are told by the same variables: AWS's own for credentials and region, and for another
server AWS_ENDPOINT_URL, or GDAL's AWS_S3_ENDPOINT, AWS_HTTPS and AWS_VIRTUAL_HOSTING.
"""

import configparser
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from sattrans.errors import OptionError, StorageError
from sattrans.utils.addresses import BUCKETS
from sattrans.utils.atomic import atomic
from sattrans.utils.output import RESUME

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 8 << 20
"""Bytes of a part of an upload, at least."""

MOST_PARTS = 9_000
"""S3 takes 10,000 parts of one object."""

PARTS_AT_ONCE = 4

RETRIES = 6
"""How often a request is repeated by default, with growing pauses of ten seconds in all, before the connection counts
as lost; GDAL_HTTP_MAX_RETRY says another number."""

RETRYING = timedelta(seconds=60)
"""How long a request is repeated at most."""

CONNECT = timedelta(seconds=5)
"""How long a server may take to answer a connection."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its size in bytes, the tag of its contents, and when it was written."""

    bytes: int
    tag: str
    time: datetime


def head(address: str) -> Stored | None:
    """Return what is known of an object without reading it; None if there is none."""
    store, key = _open(address)
    import obstore

    try:
        with _explained(address):
            return _stored(obstore.head(store, key))
    except FileNotFoundError:
        if address.startswith(BUCKETS):
            objects_below(address)  # says so if the bucket itself is missing
        return None


def objects_below(address: str) -> dict[str, Stored]:
    """Return the objects whose names begin with an address and a slash, by the rest of their names, sorted."""
    store, key = _open(address.rstrip("/"))
    import obstore

    found = {}
    with _explained(address):
        for page in obstore.list(store, f"{key}/" if key else None, chunk_size=1000):
            for meta in page:
                name = str(meta["path"])[len(key) + 1 if key else 0 :]
                if name:
                    found[name] = _stored(meta)
    return dict(sorted(found.items()))


def address_to_read(address: str) -> str:
    """Return an address on the web at which an object can be read for an hour, another one each time.

    GDAL keeps what it has read of an address as long as the process lives, though the object may have changed.
    """
    store, key = _open(address)
    import obstore

    signing: Any = store  # which all have but those of plain files and web servers
    return str(obstore.sign(signing, "GET", key, timedelta(hours=1, seconds=next(_reads))))


_reads = count()


def download(address: str, path: Path, on_bytes: Callable[[int], object] = lambda count: None) -> None:
    """Write an object to a file, whole or not at all."""
    store, key = _open(address)
    import obstore

    with atomic(path) as part, part.open("wb") as file, _explained(address):
        for piece in obstore.get(store, key).stream(min_chunk_size=PART_BYTES):
            file.write(piece)
            on_bytes(len(piece))


def put(data: bytes, address: str) -> str:
    """Write an object and return its tag."""
    store, key = _open(address)
    import obstore

    with _explained(address, "write"):
        return str(obstore.put(store, key, data)["e_tag"])


def upload(path: Path, address: str, on_bytes: Callable[[int], object] = lambda count: None) -> str:
    """Write a file to an object and return its tag. Readers see the object that was there until the new one is whole.

    A file of more than a part is uploaded in parts, which an error removes again.
    """
    size = path.stat().st_size
    if size <= PART_BYTES:
        tag = put(path.read_bytes(), address)
        on_bytes(size)
        return tag
    store, key = _open(address)
    import obstore

    part, stopped = max(PART_BYTES, -(-size // MOST_PARTS)), Event()

    def pieces(file: Any) -> Iterator[bytes]:
        while data := file.read(part):
            if stopped.is_set():
                raise InterruptedError
            yield data
            on_bytes(len(data))

    def send() -> str:
        with path.open("rb") as file:
            whole = obstore.put(
                store, key, pieces(file), use_multipart=True, chunk_size=part, max_concurrency=PARTS_AT_ONCE
            )
            return str(whole["e_tag"])

    # In another thread, because no signal reaches this one while it is in obstore.
    with ThreadPoolExecutor(1) as thread, _explained(address, "write"):
        try:
            return thread.submit(send).result()
        except BaseException:
            stopped.set()
            raise


def delete(address: str) -> None:
    """Delete an object, if there is one."""
    store, key = _open(address)
    import obstore

    with _explained(address, "delete"):
        obstore.delete(store, key)


def _stored(meta: Mapping[str, Any]) -> Stored:
    return Stored(int(meta["size"]), str(meta["e_tag"]), meta["last_modified"])


def _open(address: str) -> "tuple[ObjectStore, str]":
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    try:
        import obstore  # noqa: F401  that it is missing is said here, once for all that use it

        return _store(f"{scheme}://{bucket}", tuple(sorted(_settings_in_environment()))), key
    except ImportError:
        raise OptionError(
            f"{address}: object storage needs the extra s3; install it with pip install 'sattrans[s3]'"
        ) from None


def _settings_in_environment() -> Iterator[tuple[str, str]]:
    return (
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "GDAL_HTTP_"))
    )


@lru_cache
def _store(bucket: str, _settings: tuple[tuple[str, str], ...]) -> "ObjectStore":
    from obstore.store import from_url

    client: dict[str, Any] = {"connect_timeout": CONNECT, "allow_http": True}
    settings = _s3_settings() if bucket.startswith("s3:") else {}
    times = os.environ.get("GDAL_HTTP_MAX_RETRY", "")
    retries = {"max_retries": int(times) if times.isdecimal() else RETRIES, "retry_timeout": RETRYING}
    with _explained(bucket):
        return from_url(bucket, client_options=client, retry_config=retries, **settings)  # type: ignore[call-overload,no-any-return]


def _s3_settings() -> dict[str, Any]:
    """Return what GDAL's variables and AWS's files say, which obstore does not read by itself."""
    environ, settings = os.environ, dict[str, Any]()
    for name in ("AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        server = environ.get(name)
        if server and not SERVER.fullmatch(server if "://" in server or "URL" in name else f"https://{server}"):
            raise OptionError(f"{name} is {server}, which is no server; give one such as http://127.0.0.1:9000")
    if server := environ.get("AWS_S3_ENDPOINT"):
        insecure = environ.get("AWS_HTTPS", "YES").upper() in ("NO", "FALSE", "OFF")
        settings["endpoint"] = server if "://" in server else f"http{'' if insecure else 's'}://{server}"
        settings["virtual_hosted_style_request"] = environ.get("AWS_VIRTUAL_HOSTING", "TRUE").upper() in ("TRUE", "YES")
    if environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "ON"):
        settings["skip_signature"] = True
    elif not environ.get("AWS_ACCESS_KEY_ID"):
        settings |= _profile("credentials", "AWS_SHARED_CREDENTIALS_FILE", "")
    if not {"AWS_REGION", "AWS_DEFAULT_REGION"} & environ.keys():
        settings |= _profile("config", "AWS_CONFIG_FILE", "profile ")
    return settings


SERVER = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w./~-]*)?", re.ASCII)
"""Where a server may be: obstore panics at the address of anything else."""

CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""What to set so that each kind of storage knows the user: part of the message if no credentials are found."""

KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
}


def _profile(name: str, variable: str, prefix: str) -> dict[str, str]:
    """Return what a file in `~/.aws` says of the user's profile."""
    files = configparser.ConfigParser(interpolation=None)
    try:
        files.read(os.environ.get(variable) or Path.home() / ".aws" / name)
    except (configparser.Error, UnicodeDecodeError):
        return {}
    profile = os.environ.get("AWS_PROFILE", "default")
    section = profile if profile == "default" or profile in files else f"{prefix}{profile}"
    return {ours: files[section][key] for key, ours in KEYS.items() if section in files and key in files[section]}


def share_with_gdal() -> None:
    """Tell GDAL, which has names of its own for it, which server AWS_ENDPOINT_URL is, and to repeat requests."""
    os.environ.setdefault("GDAL_HTTP_MAX_RETRY", str(RETRIES))
    os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "0.5")
    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if server and "AWS_S3_ENDPOINT" not in os.environ:
        scheme, _, host = server.rstrip("/").partition("://")
        os.environ["AWS_S3_ENDPOINT"] = host
        os.environ["AWS_HTTPS"] = "NO" if scheme == "http" else "YES"
        os.environ.setdefault("AWS_VIRTUAL_HOSTING", "FALSE")


METADATA_SERVER = "169.254.169.254"
"""Where a machine in a cloud asks for credentials: the last resort, when nothing else has any."""

NO_CREDENTIALS = (METADATA_SERVER, "Missing SecretAccessKey", "Missing AccessKeyId", "Account must be specified")
"""What is in an error of obstore if nothing tells who the user is."""


REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
"""What S3 calls credentials that are wrong, not too weak."""


@contextmanager
def _explained(address: str, doing: str = "read") -> Iterator[None]:
    """Turn an error of the store into one line; `FileNotFoundError` stays, but for a missing bucket."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        text = str(error)
        code = found[1] if (found := re.search(r"<Code>(\w+)</Code>", text)) else ""
        status = found[1] if (found := re.search(r"status code: (\d+)", text)) else ""
        bucket = "/".join(address.split("/")[:3])
        if code == "NoSuchBucket":
            raise OptionError(f"{address}: there is no bucket {bucket}; create it, or check its name") from error
        if any(sign in text for sign in NO_CREDENTIALS):
            remedy = CREDENTIALS.get(address.partition(":")[0], "set them")
            raise OptionError(f"{address}: no credentials; {remedy}") from error
        if code in REFUSED or status == "401":
            raise OptionError(f"{address}: the credentials are refused ({code or status}); renew them") from error
        if code == "AccessDenied" or status == "403":
            raise StorageError(
                f"{address}: these credentials may not {doing} it (access denied); use others, or change its policy"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise
        reason = f"{status} {code}".strip() or _cause(text)
        raise StorageError(f"{address}: cannot {doing} it, the server does not answer ({reason}); {RESUME}") from error


def _cause(text: str) -> str:
    """Return the end of the first line of an error of obstore, which names the cause."""
    return text.splitlines()[0].rpartition(" - ")[2].strip() if text else "no reason given"
