"""The writer as a child of the bridge: frames go to its standard input, one line per reply comes back."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable

_END_SECONDS = 5.0  # [s] to finish the last file


class WriterProcess:
    def __init__(self, hear: Callable[[str], None]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "robot_bridge.recording.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the bridge's terminal is not for it
        )
        self._hear = hear
        self._listener = threading.Thread(target=self._listen, name="recorder-replies", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, frame: bytes) -> None:
        """Raises `OSError` when the process has ended; waits when it is slow."""
        assert self._process.stdin is not None
        self._process.stdin.write(frame)
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Let it finish its file; it ends when its input does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it is gone already, and that was reported when it was sent to
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(timeout=_END_SECONDS)
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._hear(line.decode())
