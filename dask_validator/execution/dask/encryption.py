"""The certificate shown to a scheduler of others, by flags; without flags it is that of Dask's configuration."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dask_validator.errors import InputError
from dask_validator.execution.dask.process_wide import configured

FLAGS = "--tls-ca-file, --tls-cert, --tls-key"


@contextmanager
def certified(scheduler: str | None, ca_file: Path | None, cert: Path | None, key: Path | None) -> Iterator[None]:
    """Clients that are made inside show the certificate, and talk only to a scheduler whose own the CA has signed.

    Parameters
    ----------
    key
        None when the file of the certificate has it too.

    Raises
    ------
    InputError
        Not all that is needed, no `tls://` address, or files that cannot be used.
    """
    if ca_file is None and cert is None and key is None:
        yield
        return
    if ca_file is None or cert is None:
        given = ", ".join(map(str, filter(None, (ca_file, cert, key))))
        raise InputError(f"{FLAGS} got only {given}; needed --tls-ca-file and --tls-cert, and --tls-key if it is apart")
    if scheduler is None or not scheduler.startswith("tls://"):
        raise InputError(f"{FLAGS} got files for --scheduler {scheduler}; needed --scheduler tls://HOST:PORT")
    _check(ca_file, cert, key)
    files = {"ca-file": ca_file, "client.cert": cert, "client.key": key}
    tls = {f"distributed.comm.tls.{name}": path and str(path) for name, path in files.items()}
    with configured({**tls, "distributed.comm.require-encryption": True}):
        yield


def _check(ca_file: Path, cert: Path, key: Path | None) -> None:
    """Raise InputError for files that cannot be used; OpenSSL itself would ask a terminal for a key's password."""
    for path in filter(None, (ca_file, cert, key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise InputError(f"{FLAGS} got {path}: {error.strerror}; needed a PEM file") from None
    try:
        ssl.create_default_context(cafile=ca_file).load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        files = ", ".join(map(str, filter(None, (ca_file, cert, key))))
        raise InputError(
            f"{FLAGS} got {files}, which do not fit together ({error.reason or error}); needed PEM files of a CA, of a "
            "certificate and of its key, without a password"
        ) from None
