"""Whether a Ray cluster answers at an address, found out before anything runs: Ray itself would try for minutes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .errors import UsageError

__all__ = ["reach_ray"]


def reach_ray(address: str) -> None:
    """Make sure that something listens at the address, and find its token.

    ``auto`` is what Ray takes it for: ``RAY_ADDRESS``, or else the cluster that ``ray start`` began on this machine,
    which may be long gone.

    From 2.59 on a Ray cluster may ask for a token; a driver sends the one that it has only in this mode.

    Raises:
        UsageError: Nothing listens there, or there is no cluster.
    """
    if address != "auto":
        _connect(address, "", "expected HOST:PORT as 'ray start --head' prints it")
    elif latest := _latest():
        _connect(latest, " (which is what 'auto' means here)", "start one with 'ray start --head', or give HOST:PORT")
    has_token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    if has_token or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _connect(address: str, remark: str, remedy: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UsageError(f"no Ray cluster answers at '{address}'{remark} ({error}): {remedy}") from error


def _latest() -> str | None:
    """The address that Ray takes ``auto`` for; None where this Ray does not tell.

    Raises:
        UsageError: No cluster runs here, and ``RAY_ADDRESS`` names none.
    """
    if given := os.environ.get("RAY_ADDRESS"):
        return given
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        from ray._private.services import canonicalize_bootstrap_address_or_die as found
    except ImportError:  # a name of Ray's own, which may go
        return None
    try:
        address: str = found("auto")
    except (ConnectionError, ValueError) as error:
        raise UsageError(
            "--ray-address auto: no Ray cluster runs on this machine, and RAY_ADDRESS names none: start one with "
            "'ray start --head', or give HOST:PORT"
        ) from error
    return address
