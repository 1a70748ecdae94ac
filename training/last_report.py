"""The report of a job's last run, which stands beside its versions: of one that published, of one that didn't, and of one that was broken off."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from training.failures import told
from training.report.page import Report, render


@dataclass(kw_only=True, slots=True)
class LastReport:
    """The page.

    Attributes:
        file: where it stands.
        title: its heading, whatever becomes of the run.
        is_settled: whether it says what has become of the run.
    """

    file: Path
    title: str
    is_settled: bool = False

    def write(self, page: str) -> str:
        """Makes it this page, by a rename; returns what is to be said of it. Raises OSError."""
        self._write(page)
        self.is_settled = True
        return f"report in {self.file}"

    def write_published(self, page: str) -> str:
        """The same of a run that has published: that stands, whatever becomes of the page, and the version has the report too."""
        self.is_settled = True
        try:
            return self.write(page)
        except OSError as error:
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
            return f"the report stands in the version alone: {told(error)}"

    @contextmanager
    def begun(self) -> Iterator[Self]:
        """While it is open a run is under way. What is raised within stands in the page, so that no earlier run's is taken for this one's.

        Raises OSError where the page can't be written to begin with.
        """
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z"
        self._write(self._page(f"No result yet: this run began at {when}. If none is under way, it was killed; begun again, it goes on."))
        try:
            yield self
        except BaseException as error:
            if not self.is_settled:
                # A disk that is full takes no page either, and what is raised tells more.
                with suppress(OSError):
                    self._write(self._page(f"Nothing published: the run that began at {when} came to no result: {told(error)}"))
            raise

    def _write(self, page: str) -> None:
        new = self.file.with_name(f"{self.file.name}.new")
        try:
            new.write_text(page, encoding="utf-8")
            new.replace(self.file)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _page(self, outcome: str) -> str:
        return render(Report(title=self.title, outcome=outcome, is_published=False, verdicts=(), sections=()))
