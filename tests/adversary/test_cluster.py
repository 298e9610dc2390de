"""Attacks on the cluster of a run: by other users of the machine, by web pages, by a scheduler that freezes."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import pytest
from distributed import Client
from distributed.security import Security
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from dask_validator import validate
from dask_validator.api.executors import open_executor
from dask_validator.errors import Incomplete, InputError
from dask_validator.events import Listeners
from dask_validator.execution.dask import asking
from dask_validator.views.live.sender import Sender
from tests.support.clusters import Cluster, Meanwhile, running_scheduler
from tests.support.runs import run_on
from tests.support.tiny import tiny_database

BOUND_S = 120
NOBODY = 65534
EVIL = "http://evil.example"
# What a stranger gets out of a port: whatever it says by itself, in plain, by TLS without a certificate, and with one
# of the stranger's own making. Dask greets everybody whom it lets in, and its greeting names its version of pickle.
STRANGER = """
import encodings.idna, json, os, socket, ssl, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
ports, pem, user = json.loads(sys.stdin.read())
if user != os.getuid():
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
def trusting(own):
    context = ssl._create_unverified_context()
    if own:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context.wrap_socket
def heard(port, wrapped):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as plain, wrapped(plain) as connection:
            return connection.recv(200).decode(errors="replace")
    except OSError as error:
        return type(error).__name__
ways = [lambda plain: plain, trusting(False), trusting(True)]
with ThreadPoolExecutor(50) as all_at_once:
    said = all_at_once.map(heard, ports * len(ways), [way for way in ways for _ in ports])
    print(json.dumps([os.getuid(), list(said)]))
"""


class Ours(NamedTuple):
    """A running cluster of our own, as others of this machine see it."""

    page: str  # URL
    scheduler: str  # its address for Dask's client
    ports: list[int]  # that anything of ours listens at


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    """The cluster of a run with two workers and a dashboard."""
    with open_executor(2, dashboard_address="127.0.0.1:0") as executor:
        sender = Sender(executor, Listeners())
        addresses: list[str] = []
        executor.with_dashboard(lambda client: addresses.append(client.scheduler.address))
        executor.start()
        executor.wait()
        here = psutil.Process()
        family = [here, *here.children(recursive=True)]
        sockets = [socket for process in family for socket in process.net_connections("tcp")]
        ports = [socket.laddr.port for socket in sockets if socket.status == psutil.CONN_LISTEN]
        assert sender.link is not None
        yield Ours(sender.link, addresses[0], ports)


def test_other_user(ours: Ours) -> None:
    """Another user of the machine connects to scheduler, nannies and workers: no greeting, no handshake."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    assert greetings(ours.ports, user=NOBODY) == []


def test_same_user_without_the_certificate(ours: Ours) -> None:
    """A process without the certificate of the run connects, whoever it belongs to: no greeting, no handshake."""
    assert greetings(ours.ports, user=os.getuid()) == []


def greetings(ports: list[int], user: int) -> list[str]:
    """What a stranger hears from Dask itself."""
    stranger = Security.temporary()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STRANGER],
        input=json.dumps([ports, f"{stranger.tls_client_cert}{stranger.tls_client_key}", user]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    uid, heard = json.loads(done.stdout)
    assert uid == user
    assert len(heard) == 3 * len(ports) > 20
    return [text for text in heard if "pickle" in text]


def test_stranger_with_a_client(ours: Ours) -> None:
    """Dask's own client comes in plain, or with the certificate of another cluster: it is not let in to run code."""
    plain = ours.scheduler.replace("tls://", "tcp://")
    for address, security in ((plain, Security()), (ours.scheduler, Security.temporary())):
        with pytest.raises(OSError, match=r"reset by peer|Timed out|does not match"):
            Client(address, security=security, timeout="1 s", set_as_default=False)


def answer(page: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """What a browser gets that sends these headers."""
    connection = http.client.HTTPConnection(urlsplit(page).netloc, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_web_page(ours: Ours) -> None:
    """A web page of any other site asks for the pages of a run, also under a name that it has been given: refused."""
    port = urlsplit(ours.page).port
    paths = ("/validation", "/status", "/info/main/workers.html", "/json/counts.json", "/metrics", "/nothing")
    attacks = [{"Origin": EVIL}, {"Origin": "null"}, {"Host": f"evil.example:{port}"}]
    attacks += [{"Host": f"evil.example:{port}", "Origin": f"{EVIL}:{port}"}, {"Host": "127.0.0.1.evil.example"}]

    answers = [answer(ours.page, path, **attack) for path in paths for attack in attacks]

    assert {got.status for got in answers} == {403}
    assert not any(re.search(b"bokeh|worker|dask", got.read()) for got in answers)


def test_frame(ours: Ours) -> None:
    """A web page shows the page of a run in a frame, under its own buttons: every answer forbids that."""
    for path in ("/validation", "/status", "/info/main/workers.html", "/nothing"):
        assert answer(ours.page, path).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_web_socket(ours: Ours) -> None:
    """A web page of any other site opens the WebSocket of a run's page, with a token even: refused."""
    session = re.search(rb'"token":"([^"]+)"', answer(ours.page, "/validation").read())
    assert session is not None
    token, port = session[1].decode(), urlsplit(ours.page).port

    async def heard(**headers: str) -> object:
        request = HTTPRequest(ours.page.replace("http", "ws") + "/ws", headers=headers)
        try:
            opened = await websocket_connect(request, subprotocols=["bokeh", token])
        except HTTPClientError as error:
            return error.code
        header = await opened.read_message()
        opened.close()
        assert isinstance(header, str)
        return json.loads(header)["msgtype"]

    own = {"Origin": f"http://127.0.0.1:{port}"}
    through_a_tunnel = {"Origin": "http://localhost:9999", "Host": "localhost:9999"}
    assert asyncio.run(heard(**own)) == asyncio.run(heard(**through_a_tunnel)) == "ACK"
    assert asyncio.run(heard(Origin=EVIL)) == asyncio.run(heard(Origin="null")) == 403
    assert asyncio.run(heard(Origin=f"{EVIL}:{port}", Host=f"evil.example:{port}")) == 403


class Others(NamedTuple):
    """A cluster of others, with one worker."""

    client: Client
    scheduler: psutil.Process


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    """A real scheduler and a real worker."""
    with running_scheduler(["-m", "dask"], tmp_path_factory.mktemp("scheduler")) as client:
        cluster = Cluster(client, tmp_path_factory.mktemp("workers"))
        try:
            cluster.start_worker()
            cluster.wait_for(1)
            yield Others(client, psutil.Process(client.run_on_scheduler(os.getpid)))
        finally:
            cluster.end_workers()


@pytest.fixture
def frozen_later(others: Others, monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    """The scheduler, to be frozen in mid-run, and thawed after the test."""
    monkeypatch.setattr("dask_validator.work.plan.OUTCOMES_PER_TASK", (1, 1))  # a task for every group
    monkeypatch.setattr("dask_validator.work.plan.SCANNED_PER_OUTCOME", float("inf"))
    yield others
    others.scheduler.resume()
    others.client.nthreads()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Strategies of many groups."""
    return tiny_database(
        tmp_path / "tiny.duckdb", [{"strategy_id": f"S{n}", "rr_target": 1 + n / 100} for n in range(40)]
    )


@pytest.mark.usefixtures("bounded")
def test_frozen_scheduler(frozen_later: Others, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler freezes in mid-run (SIGSTOP): the run is incomplete after a while, and keeps what is done."""
    monkeypatch.setattr(asking, "ANSWER_S", 1.0)
    before = database.read_bytes()
    with pytest.raises(Incomplete, match="the scheduler does not answer") as caught:
        run_on(frozen_later.client, database, Meanwhile(frozen_later.scheduler.suspend))

    assert caught.value.exit_code == 5
    assert database.read_bytes() == before
    assert database.with_name("tiny.duckdb.MGC.journal").stat().st_size > 0


@pytest.mark.usefixtures("bounded")
def test_ctrl_c_with_a_frozen_scheduler(frozen_later: Others, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Ctrl-C while a frozen scheduler is asked: heard between two looks, long before the scheduler is given up."""
    monkeypatch.setattr(asking, "ANSWER_S", 10.0 * BOUND_S)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def freeze() -> None:
        frozen_later.scheduler.suspend()
        Timer(2.0, os.kill, (os.getpid(), signal.SIGINT)).start()

    try:
        with pytest.raises(KeyboardInterrupt):
            run_on(frozen_later.client, database, Meanwhile(freeze))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("bounded")
def test_scheduler_that_is_frozen_from_the_start(frozen_later: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler takes the connection and says nothing: one line, as when nobody is there."""
    monkeypatch.setattr(asking, "ANSWER_S", 1.0)
    frozen_later.scheduler.suspend()
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        open_executor(scheduler=frozen_later.client.scheduler.address).__enter__()


def test_old_worker_still_reads(others: Others, database: Path) -> None:
    """The worker of a run that was given up has the database open as the next run starts: it is named as what it is."""
    opened = f"import duckdb, sys; sys.opened = duckdb.connect({str(database)!r}, read_only=True)"
    others.client.run(exec, opened)
    try:
        with pytest.raises(InputError, match=r"a Dask worker that still reads.*; let it end its task, then run again"):
            validate(database, workers=1, progress=False)
    finally:
        others.client.run(exec, "import sys; sys.opened.close()")
