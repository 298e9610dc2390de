"""A run on a cluster of others that speaks TLS: a real scheduler and worker, and every way to show a certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dask
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from distributed import Client
from distributed.security import Security

from dask_validator import validate
from dask_validator.api.executors import open_executor
from dask_validator.cli.commands import main
from tests.conftest import Command
from tests.support.clusters import DASK, LOOPBACK, end, start, wait_until
from tests.support.tiny import rows_by_id, tiny_database


class Tls(NamedTuple):
    """A cluster, and what lets its friends in."""

    address: str
    ca: Path
    cert: Path
    key: Path

    @property
    def flags(self) -> list[object]:
        """Of the command."""
        return ["--scheduler", self.address, "--tls-ca-file", self.ca, "--tls-cert", self.cert, "--tls-key", self.key]

    @property
    def security(self) -> Security:
        """Of a client."""
        return Security(tls_ca_file=str(self.ca), tls_client_cert=str(self.cert), tls_client_key=str(self.key))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """A scheduler and a worker that talk to nobody without a certificate of their CA."""
    folder = tmp_path_factory.mktemp("tls")
    made, log, contact = Security.temporary(), folder / "log", folder / "scheduler.json"
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_text(made.tls_client_cert)  # signed by itself, it is its own CA
    key.write_text(made.tls_client_key)
    files = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    options = ["--protocol", "tls", "--port", 0, "--no-dashboard", "--scheduler-file", contact]
    processes = [start([*DASK, "scheduler", *LOOPBACK, *options, *files], folder, log)]
    try:
        wait_until(lambda: contact.exists() and contact.read_text().endswith("}"), log)
        found = Tls(json.loads(contact.read_text())["address"], cert, cert, key)
        own = ["--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder]
        processes.append(start([*DASK, "worker", found.address, *LOOPBACK, *own, *files], folder, log))
        yield found
    finally:
        for process in reversed(processes):
            end(process)


def test_flags(tls: Tls, tmp_path: Path, command: Command) -> None:
    """`--tls-ca-file, --tls-cert, --tls-key` let a run in, and it is done as anywhere."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    ran = command("run", "--db", database, *tls.flags)

    assert tls.address.startswith("tls://")
    assert ran.code == 0, ran.stderr
    assert rows_by_id(database, "validated_setups").keys() == {"MGC_GOOD"}


def test_a_client_with_security(tls: Tls, tmp_path: Path) -> None:
    """From Python the certificate is the client's own."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    with Client(tls.address, security=tls.security, set_as_default=False) as client:
        result = validate(database, dry_run=True, client=client, progress=False)

    assert [verdict.strategy_id for verdict in result.verdicts] == ["MGC_GOOD"]
    assert result.timings


def test_dask_configuration(tls: Tls) -> None:
    """Without flags it is the certificate of Dask's configuration."""
    files = {"ca-file": tls.ca, "client.cert": tls.cert, "client.key": tls.key}
    configured = {f"distributed.comm.tls.{name}": str(path) for name, path in files.items()}
    with dask.config.set(configured), open_executor(scheduler=tls.address) as executor:
        assert executor.workers == 1


def test_no_certificate(tls: Tls, tmp_path: Path, command: Command) -> None:
    """Without a certificate, or with that of another cluster, one line says so, and nothing is written."""
    database = tiny_database(tmp_path / "tiny.duckdb")
    before = database.read_bytes()
    stranger = Security.temporary()
    (tmp_path / "other.pem").write_text(stranger.tls_client_cert + stranger.tls_client_key)
    other = ["--tls-ca-file", tmp_path / "other.pem", "--tls-cert", tmp_path / "other.pem"]

    for flags, reason in (([], "TLS"), (other, "certificate")):
        ran = command("run", "--db", database, "--scheduler", tls.address, *flags)
        assert ran.code == 2, ran.stderr
        assert len(ran.stderr.splitlines()) == 1
        assert reason in ran.stderr
    assert database.read_bytes() == before


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are something, and of files that are not what they should be."""
    folder = tmp_path_factory.mktemp("pem")
    made = Security.temporary()
    (folder / "cert.pem").write_text(made.tls_client_cert)
    (folder / "key.pem").write_text(made.tls_client_key)
    (folder / "text.pem").write_text("no certificate")
    key = load_pem_private_key(made.tls_client_key.encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "locked.pem").write_bytes(locked)
    return folder


@pytest.mark.parametrize(
    ("flags", "needed"),
    [
        (["--tls-cert", "cert.pem"], "needed --tls-ca-file and --tls-cert"),
        (["--tls-key", "key.pem"], "needed --tls-ca-file and --tls-cert"),
        (["--tls-ca-file", "nowhere.pem", "--tls-cert", "cert.pem"], "nowhere.pem: No such file"),
        (["--tls-ca-file", "cert.pem", "--tls-cert", "cert.pem"], "do not fit together"),
        (["--tls-ca-file", "text.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"], "do not fit together"),
        (["--tls-ca-file", "cert.pem", "--tls-cert", "cert.pem", "--tls-key", "locked.pem"], "without a password"),
        (["--scheduler", "tcp://127.0.0.1:1", "--tls-ca-file", "a", "--tls-cert", "b"], "needed --scheduler tls://"),
        (["--workers", "2", "--tls-ca-file", "a", "--tls-cert", "b"], "needed --scheduler tls://"),
    ],
)
def test_files_that_do_not_fit(
    pem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], needed: str
) -> None:
    """A file that is missing, damaged, locked or of no use here is one line before any work, and never a prompt."""
    monkeypatch.chdir(pem)
    address = [] if {"--workers", "--scheduler"} & set(flags) else ["--scheduler", "tls://127.0.0.1:1"]
    with pytest.raises(SystemExit) as caught:
        main(["run", *address, *flags])
    said = capsys.readouterr().err

    assert caught.value.code == 2, said
    assert needed in said
    assert len(said.splitlines()) == 1
