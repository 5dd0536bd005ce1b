"""Who acts in a history: people who click, edit, undo, plan anew or throw the kill switch, and the workers.

Each is a play for an actor: it stops at its points, where others go on, time passes, or it dies.
"""

from collections.abc import Callable

from store.errors import StorageFailed
from store.model.remedy import Choice
from tests.simulation.actors import Point
from tests.simulation.course import Course
from tests.simulation.story import LIMIT

HUMAN = "a person"
ROUNDS = 12
"""How often a worker looks for something to do."""

Play = Callable[[Point], None]


def click(course: Course, person: str, choice: str) -> Play:
    """One click; who sees an error clicks no second time."""

    def run(point: Point) -> None:
        said: Choice = "reject" if choice == "reject" else "approve"
        try:
            course.click(person, said)
        except StorageFailed:
            return
        point("clicked")

    return run


def worker(course: Course, owner: str) -> Play:
    """A reconciler that ticks; when the database fails it goes on with its next tick, as the service does."""

    def run(point: Point) -> None:
        def reach(name: str) -> None:
            if name == "apply.fenced" and course.stopped:  # the switch was read just now, and nobody else ran since
                course.broken.append("sent although the kill switch was on")
            point(name)

        for _ in range(ROUNDS):
            driver = course.driver(owner)._replace(failpoint=reach)
            try:
                course.saw_step(driver.step())
            except StorageFailed:
                course.seen["worker:database_failed"] += 1
            point("stepped")
            remedy = driver.remedy()
            course.saw(remedy)
            if remedy.state in ("closed", "paging", "observed"):
                return

    return run


def edit(course: Course, wait: int) -> Play:
    """A person changes the limit at the gateway by hand."""

    def run(point: Point) -> None:
        _wait(wait, point)
        course.gateway.edit(LIMIT, {"requests_per_minute": 5, "tokens_per_minute": None}, who=HUMAN)
        course.seen["edit"] += 1

    return run


def undo(course: Course, wait: int) -> Play:
    """Somebody wants it undone, whatever it is doing."""

    def run(point: Point) -> None:
        _wait(wait, point)
        try:
            answer = course.ledger.request_revert(course.remedy_id, by="ann", reason="not now")
        except StorageFailed:
            return
        course.seen[f"undo:{answer.status}"] += 1

    return run


def replan(course: Course, wait: int) -> Play:
    """A second revision, planned on what the gateway holds by then; later clicks are on that one."""

    def run(point: Point) -> None:
        _wait(wait, point)
        course.file(2, 30)
        course.seen[f"replan:{course.revision == 2}"] += 1

    return run


def switch(course: Course, wait: int) -> Play:
    """The kill switch goes on, and off again some time later."""

    def run(point: Point) -> None:
        _wait(wait, point)
        course.ledger.set_kill_switch(True, by="ann", reason="stop")
        course.seen["switch"] += 1
        course.stopped = True
        _wait(wait, point)
        course.ledger.set_kill_switch(False, by="ann", reason="go on")
        course.stopped = False

    return run


def _wait(points: int, point: Point) -> None:
    for _ in range(points):
        point("waits")
