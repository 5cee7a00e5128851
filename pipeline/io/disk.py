"""How anything takes its place on the disk: whole, at once, and after what it holds; and locks.

:mod:`pipeline.layout` says what lies where; how it gets there is the same for builds, reports and single files.
What waits for its place has a name that nobody can foresee and is made by who writes it: no link that somebody
else put there is followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import filelock

from pipeline.errors import WarehouseError

ABANDONED = 3600.0
"""Seconds after which what waits for the place of a file that no lock protects waits in vain."""
LEASE = 60.0
"""Seconds after which the lock of a process that has stopped is free, where the system has no locks."""
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def staged(path: Path) -> Path:
    """A new name for what is to take the place of ``path``."""
    return path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(8)}.new")


def sweep_staged(path: Path, seconds: float = 0.0) -> None:
    """Remove what interrupted writers of ``path`` left, so many seconds ago or earlier."""
    # Earlier versions gave no number.
    left = re.compile(rf"\.{re.escape(path.name.lstrip('.'))}(\.[0-9a-f]{{16}})?\.new")
    with contextlib.suppress(OSError):
        for other in path.parent.iterdir():
            if left.fullmatch(other.name) and (not seconds or other.lstat().st_mtime < time.time() - seconds):
                remove(other)


def remove(path: Path) -> None:
    """Remove a file, link or folder as far as that can be done: what stays is no reason to end anything."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def replace_link(link: Path, target: str) -> None:
    """Point ``link`` at ``target`` by one rename, whatever stood there before."""
    new = staged(link)
    new.symlink_to(target)
    try:
        if link.is_dir() and not link.is_symlink():
            # A copy that followed the links left a folder here: a rename cannot replace it.
            shutil.rmtree(link)
        put(new, link)
    except BaseException:
        remove(new)
        raise


def put(new: Path, place: Path) -> None:
    """Let a file, folder or link take its place by one rename: the one way in which anything is published.

    What it holds is on the disk before, and its name after, so that a power cut shows the old or the new, whole.
    """
    if not new.is_symlink():
        flush(new)
    new.replace(place)
    # A folder that may be written to and not read cannot be flushed.
    with contextlib.suppress(PermissionError):
        _sync(place.parent)


def put_all(staged: Iterable[tuple[Path, Path]]) -> None:
    """Let many new files take their places, as :func:`put` does one, folders for them included.

    What they hold is on the disk before any has its name, by one sync for all: one for each takes longer than all
    the rest where there are thousands.
    """
    pairs = list(staged)
    if pairs:
        os.sync()
    for new, place in pairs:
        place.parent.mkdir(parents=True, exist_ok=True)
        new.replace(place)


def link_or_copy(path: Path, place: Path) -> None:
    """Give a file a second name, or copy it where its file system or another one has no hard links.

    Of a copy that is cut short nothing is seen.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, place)
    except OSError:
        new = staged(place)
        shutil.copyfile(path, new)
        new.replace(place)


def measure_file(path: str | Path) -> int | None:
    """The bytes of a file; None where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def holds_files(folder: Path, sizes: Iterable[tuple[str, int]]) -> bool:
    """Whether a folder has each file of a path in it, with so many bytes."""
    # Of thousands of files pathlib would take longer to join the paths than the system to look.
    return all(measure_file(os.path.join(folder, path)) == size for path, size in sizes)


def flush(path: Path) -> None:
    """Write a file, or a folder and all that it holds, to the disk."""
    for one in (path, *path.rglob("*")):
        _sync(one)


def _sync(path: Path) -> None:
    """Write what the system holds of a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = str(path)
        # Some file systems over a network write folders at once, and refuse to be asked.
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to: it takes the place of ``path`` when the context ends, and with an error never does.

    Raises:
        OSError: it cannot be written; it is named as ``path``.
    """
    new = staged(path)
    try:
        # "x" follows no link, and leaves the permissions to the umask, as the module tempfile does not.
        with new.open("xb") as file:
            yield file
        put(new, path)
    except BaseException as error:
        remove(new)
        if isinstance(error, OSError) and error.filename in (None, str(new)):
            error.filename = str(path)
        raise


def renew_file(path: Path, data: bytes) -> None:
    """Put ``data`` in a file's place at once; a file that holds just that is left alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_staged(path, ABANDONED)
    with replacing(path) as file:
        file.write(data)


def is_remains(path: Path, opening: bytes) -> bool:
    """Whether a file is empty, or begins as one that starts with ``opening``: a power cut may have left it so.

    Whether one that is longer is whole is for the caller to judge.
    """
    with path.open("rb") as file:
        return opening.startswith(file.read(len(opening)))


def refuse_planted(path: Path) -> None:
    """Make sure that a folder to write in is no link that another user made.

    Raises:
        WarehouseError: it is.
    """
    with contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            raise WarehouseError(f"{path}: is a link that another user made, and is not followed; remove it")


@contextlib.contextmanager
def shared_as(folder: Path) -> Iterator[None]:
    """Let the group of ``folder`` write what is made meanwhile, where it may write to the folder itself.

    Else the umask of one user would shut out the next.
    """
    mode = folder.stat().st_mode
    before = os.umask(0o077)
    # A sticky folder, such as /tmp, is for many users and not for them together.
    shared = mode & stat.S_IWGRP and not mode & stat.S_ISVTX
    os.umask(before & ~stat.S_IRWXG if shared else before)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the file ``path``; where another process has it, wait, after ``waiting`` was called once.

    The lock is the operating system's: it ends with its process, however that ends. The file stays. On a file
    system without locks (Lustre, NFS) a file beside it names the process that holds it, which renews it as long
    as it runs. What is made meanwhile is shared as the file's folder is.

    Raises:
        WarehouseError: the folder is another user's.
        OSError: it cannot be locked.
    """
    with shared_as(path.parent):
        try:
            lock: filelock.BaseFileLock = filelock.FileLock(path, fallback_to_soft=False)
            _acquire(lock, waiting)
        except PermissionError as error:
            raise _explain_denied(path, error) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                error.filename = str(path)
                raise
            lock = filelock.SoftFileLease(path.with_name(f"{path.name}.lease"), lease_duration=LEASE)
            _acquire(lock, waiting)
        try:
            yield
        finally:
            # What cannot be unlocked, or removed, ends with this process.
            with contextlib.suppress(OSError):
                lock.release()


@contextlib.contextmanager
def hold_folder(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a folder, which is made where it is missing, by a ``lock`` in it that goes again: others copy and serve it.

    Raises:
        WarehouseError, OSError: as :func:`hold_lock`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(lock, waiting):
        try:
            yield
        finally:
            # Whoever waits sees that this lock is of no file, and makes it anew.
            lock.unlink(missing_ok=True)


def _acquire(lock: filelock.BaseFileLock, waiting: Callable[[], None]) -> None:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        waiting()
        lock.acquire()


def _explain_denied(path: Path, error: OSError) -> Exception:
    """Why a lock cannot be held, and what the owner of its folder can do."""
    folder = path.parent
    error.filename = str(path)
    if folder.stat().st_uid == os.geteuid():
        return error
    name = shlex.quote(str(folder))
    share = f"chgrp -R GROUP {name}; chmod -R g+rwX {name}; find {name} -type d -exec chmod g+s {{}} +"
    return WarehouseError(f"{path}: {error.strerror}; to share it with a group, let its owner run: {share}")
