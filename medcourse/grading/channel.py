"""Messages between two forks: a length, then that many bytes."""

import socket
import struct

_LENGTH = struct.Struct("!Q")
_LARGEST = 512 << 20  # bytes


def send(link: socket.socket, message: bytes) -> None:
    """Send one message."""
    link.sendall(_LENGTH.pack(len(message)) + message)


def receive(link: socket.socket) -> bytes:
    """Wait for one message.

    Raises:
        EOFError: the other side has ended.
        ValueError: the message is said to be longer than any that we send.
    """
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    if length > _LARGEST:
        raise ValueError(f"a message of {length} bytes")
    return _exactly(link, length)


def _exactly(link: socket.socket, length: int) -> bytes:
    parts: list[bytes] = []
    left = length
    while left:
        part = link.recv(min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
