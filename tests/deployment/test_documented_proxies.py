"""Behind each proxy that the documentation configures, a client chooses nothing but its request."""

import getpass
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Certificates
from dewar.server import Server, Settings
from nginxtools import NGINX
from proxytools import (
    CLIENT,
    DOCS,
    DOCUMENTED,
    OTHERS,
    PROGRAMS,
    Documented,
    Site,
    UnixServer,
    asked_as,
    blocks,
    make_app,
)

HOSTILE = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "evil",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1337",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Ssl": "off",
    "X-Forwarded-Scheme": "evil",
    "X-Forwarded-Protocol": "evil",
    "X-Forwarded-User": "evil",
    "X-Real-IP": "6.6.6.6",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Script-Name": "/evil",
    "Front-End-Https": "off",
    "Forwarded": "for=6.6.6.6;proto=http;host=evil.example",
    "X_Forwarded_For": "6.6.6.6",
    "X_Forwarded-Prefix": "/evil",
    "Connection": "close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host",
}


def test_every_documented_proxy_is_run_here() -> None:
    """A new block needs an entry, and an entry a block and the words of its page."""
    found = {
        (str(page.relative_to(DOCS)), program, number)
        for page in DOCS.rglob("*.md")
        for program in (*PROGRAMS, *OTHERS)
        for number in range(len(blocks(page, program)))
    }
    assert found == {(one.page, one.program, one.number) for one in DOCUMENTED}
    for one in DOCUMENTED:
        text = (DOCS / one.page).read_text(encoding="utf-8")
        assert [words for words in one.quoted if words not in text] == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("the certificates are made with the openssl command: apt install openssl")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(
    scope="module", params=DOCUMENTED, ids=lambda one: f"{one.page}-{one.program}-{one.number}"
)
def site(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Documented, Site]]:
    one: Documented = request.param
    if PROGRAMS[one.program] is None:
        pytest.skip(f"{one.program} is not installed: apt install {one.program}")
    made = Site(one, certificates, tmp_path_factory.mktemp(one.program))
    yield one, made
    made.close()


def test_the_app_sees_what_the_client_used(site: tuple[Documented, Site]) -> None:
    """Its address, TLS, and the host that it has asked for."""
    seen = site[1].ask()["decided"]
    assert seen["remote"] == CLIENT
    assert seen["link"] == "https://localhost/seen"
    assert (seen["static"], seen["path"]) == ("/static/a.js", ["", "/seen"])


@pytest.mark.parametrize("name", [*HOSTILE, "all of them", "all of them, twice"])
def test_a_documented_proxy_lets_the_client_choose_nothing(
    site: tuple[Documented, Site], name: str
) -> None:
    """The answer is the same as to a client that sends none of these fields."""
    one, behind = site
    lines = [f"{key}: {value}" for key, value in HOSTILE.items()]
    sent = [f"{name}: {HOSTILE[name]}"] if name in HOSTILE else lines * (1 + ("twice" in name))
    honest, hostile = behind.ask(), behind.ask(*sent)
    assert hostile["decided"] == honest["decided"]
    if not one.has_proxy_fix:  # without trusted_hosts the server leaves the fields to the app
        told = set(hostile["fields"]) - set(honest["fields"])
        # The proxy appends to this one, and the client's part is cut off.
        assert [text for text in told if "evil" in text or "6.6.6.6" in text] == []
        assert {text.partition(":")[0] for text in told} <= {"Connection"}


def _has_user(name: str) -> bool:
    return name in {user.pw_name for user in pwd.getpwall()}


needs_another_user = pytest.mark.skipif(
    NGINX is None or getpass.getuser() != "root" or not _has_user("www-data"),
    reason="needs nginx, and root to run it as www-data",
)


@needs_another_user
def test_the_socket_of_the_commands_is_for_nginx_too(
    certificates: Certificates, tmp_path: Path
) -> None:
    """`serve-an-app.md`: a folder with nginx's group, and a socket of mode 660."""
    page = DOCS / "how-to/serve-an-app.md"
    ((install, run),) = (
        block.strip().splitlines() for block in blocks(page, "sh") if "install -d" in block
    )
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        folder = f"{above}/shop"
        command = install.replace("sudo ", "").replace("-o shop", "-o root")
        subprocess.run(shlex.split(command.replace("/run/shop", folder)), check=True, timeout=10)
        (tmp_path / "shop.py").write_text(
            "from dewar import Dewar\napp = Dewar('shop')\n"
            "@app.get('/seen')\ndef seen(): return {'seen': True}\n"
        )
        words = shlex.split(run.replace("/run/shop/", f"{folder}/"))
        server = UnixServer([sys.executable, "-m", *words], f"{folder}/shop.sock", tmp_path)
        try:
            text = blocks(page, "nginx")[0]
            assert asked_as("www-data", text, f"unix:{folder}/shop.sock", certificates, tmp_path)
            assert Path(f"{folder}/shop.sock").stat().st_mode & 0o777 == 0o660
        finally:
            server.stop()


@needs_another_user
def test_the_socket_of_systemd_is_for_nginx_too(certificates: Certificates, tmp_path: Path) -> None:
    """`deploy.md`: the group and the mode that the unit gives it."""
    page = DOCS / "how-to/deploy.md"
    text = page.read_text(encoding="utf-8")
    group = re.search(r"^SocketGroup=(.*)$", text, re.MULTILINE)
    mode = re.search(r"^SocketMode=(.*)$", text, re.MULTILINE)
    assert group
    assert mode
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        Path(folder).chmod(0o755)
        path = f"{folder}/shop.sock"
        sock.bind(path)
        sock.listen(8)
        shutil.chown(path, group=group[1])
        Path(path).chmod(int(mode[1], 8))
        server = Server(make_app(), Settings(bind=f"fd://{sock.detach()}", trusted_hosts="unix"))
        server.start()
        try:
            block = blocks(page, "nginx")[0]
            assert asked_as("www-data", block, f"unix:{path}", certificates, tmp_path)
        finally:
            server.stop(5)


@needs_another_user
def test_a_socket_of_the_defaults_is_not_for_nginx(
    certificates: Certificates, tmp_path: Path
) -> None:
    """It belongs to the user of the server alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = f"{folder}/shop.sock"
        server = Server(make_app(), Settings(bind=f"unix:{path}"))
        server.start()
        try:
            block = blocks(DOCS / "how-to/deploy.md", "nginx")[0]
            assert not asked_as("www-data", block, f"unix:{path}", certificates, tmp_path)
        finally:
            server.stop(5)
