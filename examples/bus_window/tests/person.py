"""Calls the window's method, and says what the window shows before and after."""

import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, Gio, GLib


def texts(accessible):
    """The names of everything that the app shows."""
    if accessible is None:
        return []
    found = [accessible.get_name() or ""]
    for index in range(accessible.get_child_count()):
        found += texts(accessible.get_child_at_index(index))
    return found


def shown():
    desktop = Atspi.get_desktop(0)
    found = []
    for index in range(desktop.get_child_count()):
        app = desktop.get_child_at_index(index)
        if app is not None and "bus_window" in (app.get_name() or ""):
            found += texts(app)
    return found


def until(what, happened):
    start = time.monotonic()
    while time.monotonic() - start < 60:
        try:
            if happened():
                return
        except GLib.Error as error:
            what = f"{what} ({error.message})"
        time.sleep(0.05)
    sys.exit(f"it has not happened that {what}: {shown()}")


bus = Gio.bus_get_sync(Gio.BusType.SESSION)


def call(text):
    answer = bus.call_sync(
        "org.example.BusWindow", "/org/example/BusWindow", "org.example.Window", "Show",
        GLib.Variant("(s)", (text,)), GLib.VariantType("(b)"), Gio.DBusCallFlags.NO_AUTO_START, 5000)
    return answer.unpack() == (True,)


until("the window is there", lambda: "Nobody has called yet" in shown())
until("the method can be called", lambda: call("Hello"))
until("the label shows it", lambda: "Hello" in shown())
if "Nobody has called yet" in shown():
    sys.exit("the old text is still shown")
print("the label shows what was called")

Gio.bus_own_name_on_connection(bus, "org.example.Seen", Gio.BusNameOwnerFlags.NONE, None, None)
loop = GLib.MainContext.default()


def seen():
    while loop.iteration(False):
        pass
    return "org.example.Seen" in shown()


until("the signal is shown", seen)
print("the label shows the signal")
