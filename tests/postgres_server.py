"""A PostgreSQL server of our own for tests: a cluster in a temporary directory, on a socket and a free port, run by an unprivileged user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from tocsin.kernel.ports import free_port

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 80
shared_buffers = 16MB
fsync = {fsync}
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
password_encryption = scram-sha-256
log_min_messages = warning
"""
ACCESS = """
local all all trust
hostnossl all open 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


def program(name: str) -> str:
    """`initdb`, `postgres`: Debian keeps them apart from the other programs."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    chosen = str(found[-1]) if found else shutil.which(name)
    assert chosen, f"{name} is missing; scripts/need.sh test installs it"
    return chosen


def certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(pem)
    (folder / "server.key").chmod(0o600)


def _gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Postgres:
    """`start`, `stop`, `kill` (-9, as a crash). `url(database)`: its address over the socket; `tcp(database)`: over 127.0.0.1."""

    def __init__(self, fsync: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
        self.root = os.getuid() == 0
        self.owner = "postgres" if self.root else pwd.getpwuid(os.getuid()).pw_name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        certificate(self.folder)
        self._own(self.folder)
        data = self.folder / "data"
        self._run(program("initdb"), "-D", str(data), "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(port=self.port, folder=self.folder, fsync="on" if fsync else "off"))
        (data / "pg_hba.conf").write_text(ACCESS)
        self.start()

    def _own(self, path: Path) -> None:
        if self.root:
            user = pwd.getpwnam(self.owner)
            for one in (path, *path.rglob("*")):
                os.chown(one, user.pw_uid, user.pw_gid)

    def _who(self) -> dict[str, object]:
        return {"user": self.owner, "group": pwd.getpwnam(self.owner).pw_gid, "extra_groups": []} if self.root else {}

    def _run(self, *words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, **self._who())

    def url(self, database: str = "postgres", **more: str) -> str:
        query = {"host": str(self.folder), "port": str(self.port), "user": "owner"} | more
        return f"postgresql:///{database}?" + "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items())

    def tcp(self, database: str = "postgres", user: str = "owner", port: int | None = None, **more: str) -> str:
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in more.items())
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}" + (f"?{query}" if query else "")

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Rows of the last statement."""
        with psycopg.connect(self.url(database), autocommit=True) as db:
            for statement in statements:
                found = db.execute(statement)
            return found.fetchall() if found.description else []

    def database(self, name: str, extra: str = "") -> str:
        """A new and empty one; its address."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" {extra}')
        return self.url(name)

    def start(self) -> None:
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [program("postgres"), "-D", str(self.folder / "data")],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            **self._who(),
        )
        log.close()
        deadline = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "server.log").read_text()[-2000:]
                time.sleep(0.05)

    def kill(self) -> None:
        """As when the power goes: every process of the server at once."""
        assert self.process is not None
        first = psutil.Process(self.process.pid)
        first.suspend()  # it forks no more
        everybody = [first, *first.children(recursive=True)]
        for one in everybody:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        deadline = time.monotonic() + 60
        while not all(map(_gone, everybody)):  # who is still there holds memory without which it cannot start again
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
