#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A talker that somebody has taken over, with what a shell cannot do: it takes
the descriptors that come over the pair (3). For test_agent_talker.c.

    evil_talker.py flood|drip|hoard|orders|append|again FOLDER …
                                            FOLDER: of talkers_messages()

Orders a bundle, as a controller may, or waits until metadata is wanted, and says on
standard error what became of the descriptors, a line each."""
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import sys
import time

SAY, FETCH, FETCHED, WANT, CHUNK = 8, 10, 5, 12, 1 << 20
ORDERS = 128  # every other one is new: four more than are taken at once
# Of a message: magic, version, kind, size, zero; of FETCH and WANT then the number.
HEAD = struct.Struct("=IHHII")
F_GETPIPE_SZ = 1032  # fcntl has it from Python 3.10 on

pair = socket.socket(fileno=3)
what, folder = sys.argv[1:3]
held = []


def say(text):
    print(text, file=sys.stderr, flush=True)


def send(name):
    with open(os.path.join(folder, name), "rb") as f:
        pair.send(f.read())


def fetched(number, result):
    """That it is fetched, or why not, as belay's own talker says it."""
    with open(os.path.join(folder, "fetched"), "rb") as f:
        message = bytearray(f.read())
    struct.pack_into("=Qi", message, HEAD.size, number, result)
    pair.send(message)


def got_none(number, result):
    """That a file of metadata did not come."""
    with open(os.path.join(folder, "none"), "rb") as f:
        message = bytearray(f.read())
    struct.pack_into("=Qi", message, HEAD.size, number, result)
    pair.send(message)


def next_of(kind):
    """The descriptor of the next bundle or file that is wanted, and its number."""
    while True:
        data, fds, _, _ = socket.recv_fds(pair, 65536, 4)
        if not data:
            sys.exit(0)
        if HEAD.unpack_from(data)[2] == kind and fds:
            held.extend(fds)
            return fds[0], struct.unpack_from("=Q", data, HEAD.size)[0]


def is_small_pipe(fd):
    """Of the kernel's own size: what it keeps is counted to the host."""
    return stat.S_ISFIFO(os.fstat(fd).st_mode) and (
        fcntl.fcntl(fd, F_GETPIPE_SZ) <= 16 * os.sysconf("SC_PAGE_SIZE")
    )


def flood(fd):
    """As much as anybody takes: more than a bundle may have."""
    sent = 0
    try:
        while True:
            sent += os.write(fd, b"x" * CHUNK)
    except BrokenPipeError:
        return sent


def drip(fd):
    """A byte at a time, as fast as it goes, until nobody reads."""
    try:
        while True:
            os.write(fd, b"x")
    except BrokenPipeError:
        pass


def answered():
    """Waits for what to post: all that was said before has been read then."""
    send("ask")
    while True:
        data, fds, _, _ = socket.recv_fds(pair, 65536, 4)
        held.extend(fds)
        if not data:
            sys.exit(0)
        if HEAD.unpack_from(data)[2] == SAY:
            return


def orders():
    """One order after the other, as fast as they are read: seconds for ORDERS."""
    begun = time.monotonic()
    for i in range(ORDERS):
        send("rollback" if i % 2 else "apply")
        answered()
    return time.monotonic() - begun


def append():
    """Sets what it can on what it was given, and looks at what it is given next."""
    fd, number = next_of(WANT)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    got_none(number, -errno.ENOENT)
    try:
        os.pwrite(next_of(WANT)[0], b"x", 0)
        say("writes what is wanted")
    except PermissionError:
        say("cannot write what is wanted")
    while pair.recv(65536):
        pass


def again():
    """The same order with each poll, several in the time that a file takes."""
    wanted, polls = None, 0
    while True:
        send("apply")
        polls += 1
        if wanted and polls > 5:
            got_none(wanted, -errno.EFBIG)
            wanted = None
        if not select.select([pair], [], [], 0.02)[0]:
            continue
        data = pair.recv(65536)
        if not data:
            sys.exit(0)
        if HEAD.unpack_from(data)[2] == WANT:
            wanted, polls = struct.unpack_from("=Q", data, HEAD.size)[0], 0


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
send("hello")
if what == "orders":
    say("is held up" if orders() > 2 else "is not held up")
if what == "append":
    append()
    sys.exit(0)
if what == "again":
    again()
send("apply")
while True:
    pipe, number = next_of(FETCH)
    for h in held:
        say("holds " + ("a pipe" if is_small_pipe(h) else "something else"))
    if what == "flood":
        say("sent more" if flood(pipe) > 64 << 20 else "sent less")
    elif what == "drip":
        say("drips")
        drip(pipe)
        say("dripped")
    else:
        # Says that it failed, and keeps all that it was given.
        os.write(pipe, b"x" * 1000)
        fetched(number, -11)
        try:
            while True:
                os.write(pipe, b"x")
                time.sleep(0.01)
        except BrokenPipeError:
            say("%d are closed" % len(held))
