"""What the terminal shows of a run: its steps, and the progress of the table that is being built."""

import math
import shutil
import sys
import time


class Screen:
    """Lines with the time since the start, and one line of progress that is rewritten in place."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._live = sys.stdout.isatty()
        self._clear = "\r\x1b[K" if self._live else ""
        self._last = self.began

    def line(self, text: str) -> None:
        """Print a line with the minutes since the start."""
        passed = int(time.monotonic() - self.began)
        print(f"{self._clear}[{passed // 60:2d}:{passed % 60:02d}] {text}", flush=True)

    def text(self, text: str) -> None:
        """Print lines as they are, in the place of the progress."""
        print(f"{self._clear}{text}", flush=True)

    def message(self, text: str) -> None:
        """Print a line of an asset's log, below its step."""
        self.line(f"   {text}")

    def progress(self, table: str, done: int, total: int, left: float, more: str = "") -> None:
        """Show the progress of a table: in place on a terminal, else every ten seconds.

        Parameters
        ----------
        table : str
            Or tables.
        done, total : int
            Of its partitions.
        left : float
            Seconds for the others; NaN where that is not known yet.
        more : str, optional
            What follows: of the run as a whole.
        """
        ending = "" if math.isnan(left) else f", {left:.0f} s left"
        text = f"        {table}: {done} of {total}{ending}{', ' if more else ''}{more}"
        if self._live:
            width = shutil.get_terminal_size().columns
            text = text if len(text) < width else f"        {text[9 - width :]}"  # a longer line cannot be rewritten
        now = time.monotonic()
        if self._live:
            print(f"{self._clear}{text}", end="", flush=True)
        elif now - self._last > 10 and 1 < done < total:
            print(text, flush=True)
        else:
            return
        self._last = now
