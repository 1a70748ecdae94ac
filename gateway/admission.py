"""What is taken on: bounds on bytes, elements, calls under way, and time. Used on the event loop's thread alone, so it has no lock."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from gateway.call import Call, Principal, TensorDeclaration
from gateway.errors import DeadlineExceeded, RequestTooLarge, ShuttingDown, TooManyCalls, TooManyElements

DEADLINE_PASSED = "the deadline passed while the request was prepared: allow more time"


@dataclass(frozen=True, kw_only=True, slots=True)
class AdmissionLimits:
    """The bounds; `gateway/settings.py` says what each means."""

    max_request_bytes: int
    max_elements: int
    max_calls: int
    max_calls_per_tenant: int
    default_timeout_seconds: float
    max_timeout_seconds: float
    min_timeout_seconds: float


class Slot:
    """One of the calls under way: how long it may take, and `release` to give its place back."""

    __slots__ = ("_admission", "_deadline", "_tenant")

    def __init__(self, admission: "Admission", tenant: str, timeout_seconds: float) -> None:
        """Made by `Admission.admit`."""
        self._admission: Admission | None = admission
        self._tenant = tenant
        self._deadline = time.monotonic() + timeout_seconds

    def remaining_seconds(self) -> float:
        """What is left of the call's time. Raises DeadlineExceeded where nothing is."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded(DEADLINE_PASSED)
        return remaining

    def release(self) -> None:
        """Gives the place back; once, however often it is called."""
        if self._admission is not None:
            self._admission.release(self._tenant)
            self._admission = None


class Admission:
    """Counts the calls under way."""

    def __init__(self, limits: AdmissionLimits) -> None:
        """Takes the bounds."""
        self._limits = limits
        self._by_tenant: Counter[str] = Counter()
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0

    def admit(self, principal: Principal, call: Call) -> Slot:
        """Takes a call on.

        Raises:
            RequestTooLarge, TooManyElements: it is too large.
            DeadlineExceeded: it leaves too little time.
            TooManyCalls: as many as allowed are under way; try again.
            ShuttingDown: the gateway is stopping.
        """
        limits = self._limits
        if self._draining:
            message = "the gateway is stopping: try again, and reach another one or the next"
            raise ShuttingDown(message)
        if call.size_bytes > limits.max_request_bytes:
            message = f"the request has {call.size_bytes} bytes; at most {limits.max_request_bytes} are taken"
            raise RequestTooLarge(message)
        for declaration in call.declarations:
            self._check_elements(declaration)
        timeout_seconds = min(limits.default_timeout_seconds if call.timeout_seconds is None else call.timeout_seconds, limits.max_timeout_seconds)
        if timeout_seconds < limits.min_timeout_seconds:
            message = f"the deadline leaves less than {limits.min_timeout_seconds * 1000:g} ms: allow more time"
            raise DeadlineExceeded(message)
        if self.in_flight >= limits.max_calls:
            message = f"{limits.max_calls} calls are under way, as many as allowed: try again"
            raise TooManyCalls(message)
        if self._by_tenant[principal.tenant] >= limits.max_calls_per_tenant:
            message = f"{limits.max_calls_per_tenant} of your calls are under way, as many as allowed: try again"
            raise TooManyCalls(message)
        self.in_flight += 1
        self._by_tenant[principal.tenant] += 1
        self._idle.clear()
        return Slot(self, principal.tenant, timeout_seconds)

    def release(self, tenant: str) -> None:
        """Counts a call of the tenant as ended."""
        self.in_flight -= 1
        self._by_tenant[tenant] -= 1
        if not self._by_tenant[tenant]:
            del self._by_tenant[tenant]
        if not self.in_flight:
            self._idle.set()

    def drain(self) -> None:
        """From now on every call is refused with ShuttingDown."""
        self._draining = True

    async def wait_idle(self, timeout_seconds: float) -> bool:
        """Waits until no call is under way; False where some still are after the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _check_elements(self, declaration: TensorDeclaration) -> None:
        """A size below zero is an error of another kind, which whoever reads the tensor names.

        Stops at the first size that is too much, so that hundreds of huge ones cost no long arithmetic; one of zero hides no other.
        """
        elements = 1
        for size in declaration.shape:
            elements *= max(size, 1)
            if elements > self._limits.max_elements:
                message = f"the tensor declares too many elements: at most {self._limits.max_elements} are taken, so send less at once"
                raise TooManyElements(message, field=declaration.field)
