"""What `docs/how-to/deploy.md` tells people to write is accepted by what reads it."""

import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploymenttools import free_port
from dewar.server import Settings
from nginxtools import NGINX, check

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings) if field.init}


def block(name: str) -> str:
    """Return the block that is to be written to the file *name*."""
    found = re.search(
        rf"^```\w+ file={re.escape(name)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found, name
    return found[1]


def test_nginx_takes_the_site(tmp_path: Path) -> None:
    """``nginx -t``, with a certificate of our own and a port that is free."""
    openssl = shutil.which("openssl")
    if NGINX is None:
        pytest.skip("nginx is not installed: apt install nginx")
    if openssl is None:
        pytest.skip("openssl is not installed: apt install openssl")
    key, certificate = tmp_path / "shop.key", tmp_path / "shop.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-subj", "/CN=shop.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=30)
    site = block("shop.conf")
    for old, new in (
        ("/etc/ssl/shop.key", str(key)),
        ("/etc/ssl/shop.pem", str(certificate)),
        ("listen 443 ", f"listen 127.0.0.1:{free_port()} "),
    ):
        assert old in site
        site = site.replace(old, new)
    assert check(site, tmp_path) == ""
    assert "unknown directive" in check(site.replace("keepalive 32", "keep_alive 32"), tmp_path)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` finds nothing to complain about."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: apt install systemd")

    def verify(service: str) -> str:
        (tmp_path / "shop.socket").write_text(block("shop.socket"), encoding="utf-8")
        (tmp_path / "shop.service").write_text(service, encoding="utf-8")
        units = [str(tmp_path / "shop.service"), str(tmp_path / "shop.socket")]
        command = [analyze, "verify", "--man=no", *units]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        # It looks at the system's own units too, which are not ours to mend.
        lines = [line for line in done.stderr.splitlines() if "shop" in line]
        return "\n".join(lines)

    # What is started has to be there, and dewar is not in /srv here.
    service = block("shop.service").replace("/srv/shop/.venv/bin/dewar", sys.executable)
    assert sys.executable in service
    assert verify(service) == ""
    assert "KillModus" in verify(service.replace("KillMode", "KillModus"))


def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    """``logrotate --debug`` reads it to the end."""
    logrotate = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")
    if logrotate is None:
        pytest.skip("logrotate is not installed: apt install logrotate")
    path = tmp_path / "shop"
    path.write_text(block("logrotate").replace("/var/log/shop", str(tmp_path)), encoding="utf-8")
    path.chmod(0o644)
    state = ["--state", str(tmp_path / "state")]
    done = subprocess.run(
        [logrotate, "--debug", *state, str(path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr


def test_dewar_takes_the_file_with_settings(tmp_path: Path) -> None:
    """``dewar run --print-settings`` reads every line of it."""
    written = block("dewar.toml")
    (tmp_path / "dewar.toml").write_text(written, encoding="utf-8")
    command = [sys.executable, "-m", "dewar", "run", "--print-settings"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = tomllib.loads(done.stdout)["server"]
    for name, value in tomllib.loads(written)["server"].items():
        assert printed[name] == value


def test_flags_and_variables_are_settings() -> None:
    """Every ``--flag`` of ``dewar run`` and every ``DEWAR_…`` on the page."""
    commands = re.findall(r'dewar", "run", (.*)\]$|dewar run (.*)$', PAGE, re.MULTILINE)
    flags = {flag for pair in commands for flag in re.findall(r"--([a-z-]+)", " ".join(pair))}
    assert flags >= {"config", "processes"}
    named = {flag.replace("-", "_") for flag in flags - {"config"}}
    named |= {name.lower() for name in re.findall(r"\bDEWAR_([A-Z_]+)", PAGE)}
    assert named <= set(DEFAULTS)


def test_every_setting_in_the_prose_exists() -> None:
    """What stands in backticks with an underscore is a setting or nginx's directive."""
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    assert words - set(DEFAULTS) == {"client_max_body_size"}
