"""A real S3 server, moto's, in this process; requests to it can be watched, refused and cut off."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store
from werkzeug.serving import make_server

BUCKET = "bucket"

Hook = Callable[[str, str], str | None]
"""Takes the method and the path with the query of a request; returns None, or the code of S3 that refuses it."""


@dataclass
class ObjectStorage:
    """The server, and its one bucket as a client sees it."""

    app: Callable[..., Any]
    port: int = 0
    hook: Hook = lambda method, path: None
    requests: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start the server, after `stop` at the same port and with the same objects."""
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop the server: nothing listens at its port any more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"] + "?" + environ.get("QUERY_STRING", "")
        self.requests.append(f"{method} {path}")
        if code := self.hook(method, path):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("403 Forbidden" if code == "AccessDenied" else "503 Slow Down", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code></Error>".encode()]
        answer: Iterable[bytes] = self.app(environ, start)
        return answer

    @cached_property
    def store(self) -> S3Store:
        """The bucket."""
        return S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id="testing",
            secret_access_key="testing",
            region="us-east-1",
            client_options={"allow_http": True},
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a command finds the server."""
        return {
            "AWS_S3_ENDPOINT": f"127.0.0.1:{self.port}",
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }

    def empty(self) -> None:
        """Delete all objects, and forget what was asked for."""
        obstore.delete(self.store, self.names())
        self.requests.clear()

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix."""
        return sorted(meta["path"] for page in obstore.list(self.store, prefix or None) for meta in page)

    def read(self, name: str) -> bytes:
        """Return an object."""
        return bytes(obstore.get(self.store, name).bytes())

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return all objects below a prefix, by the rest of their names."""
        return {name.removeprefix(f"{prefix}/"): self.read(name) for name in self.names(prefix)}

    def put(self, path: Path, name: str) -> str:
        """Put a file, or all files of a folder, there, and return the address."""
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            below = f"/{file.relative_to(path).as_posix()}" if file != path else ""
            obstore.put(self.store, name + below, file)
        return f"s3://{BUCKET}/{name}"

    @contextmanager
    def refusing(self, hook: Hook) -> Iterator[None]:
        """Refuse what a hook says."""
        self.hook = hook
        try:
            yield
        finally:
            self.hook = lambda method, path: None


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Yield the server with an empty bucket."""
    from moto.server import DomainDispatcherApplication, create_backend_app

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    storage = ObjectStorage(DomainDispatcherApplication(create_backend_app))
    storage.start()
    connection = HTTPConnection("127.0.0.1", storage.port)
    connection.request("PUT", f"/{BUCKET}")
    assert connection.getresponse().status == 200
    connection.close()
    try:
        yield storage
    finally:
        storage.stop()
