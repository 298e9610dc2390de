"""Who watches a run: every listener hears everything."""

from __future__ import annotations

from threading import Thread

from dask_validator.events import Computed, Ended, Ending, Event, Listeners, Said


def test_each_hears_every_event() -> None:
    """In one order, none of them changes what the others hear, and what one has to say is heard by all."""
    first: list[Event] = []
    second: list[Event] = []
    listeners = Listeners(first.append)

    def answering(event: Event) -> None:
        second.append(event)
        if isinstance(event, Computed):
            listeners(Said("all computed"))

    listeners.add(answering)
    for event in (Said("hello"), Computed(1.0), Ended(Ending.DONE)):
        listeners(event)

    assert first == second == [Said("hello"), Computed(1.0), Said("all computed"), Ended(Ending.DONE)]


def test_nothing_is_heard_after_the_end() -> None:
    """A cluster that is up too late tells nobody."""
    heard: list[Event] = []
    listeners = Listeners(heard.append)
    listeners(Ended(Ending.DONE))
    late = Thread(target=listeners, args=[Said("the dashboard is at ...")])
    late.start()
    late.join()

    assert heard == [Ended(Ending.DONE)]


def test_one_event_at_a_time() -> None:
    """Whoever tells from another thread waits until all have heard the one before."""
    heard: list[str] = []
    late: list[Thread] = []

    def slowly(event: Event) -> None:
        assert isinstance(event, Said)
        heard.append(f"{event.text} begins")
        if not late:
            late.append(Thread(target=listeners, args=[Said("second")]))
            late[0].start()
            late[0].join(0.2)
        heard.append(f"{event.text} ends")

    listeners = Listeners(slowly)
    listeners(Said("first"))
    late[0].join()

    assert heard == ["first begins", "first ends", "second begins", "second ends"]
