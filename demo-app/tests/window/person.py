"""Sees the app as a screen reader does, and clicks as a hand does.

Reads one command a line from standard input, as JSON, and answers each with one line. What is on the
screen comes over AT-SPI; clicks are made by xdotool where the widget is. There is no window manager: every
window lies at the upper left corner, the newest on top.
"""

import json
import subprocess
import sys
import time
import warnings

warnings.simplefilter("ignore")
import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib

APP = "legwork-demo"
WINDOWS = ("frame", "dialog", "alert")


def below(node):
    """The node and all that is in it; what goes away meanwhile is left out."""
    try:
        count = node.get_child_count()
    except GLib.Error:
        return
    yield node
    for place in range(count):
        try:
            child = node.get_child_at_index(place)
        except GLib.Error:
            continue
        if child is not None:
            yield from below(child)


def windows():
    """The app's windows, the newest first."""
    found = []
    desktop = Atspi.get_desktop(0)
    for place in range(desktop.get_child_count()):
        app = desktop.get_child_at_index(place)
        if app is not None and app.get_name() == APP:
            found += [app.get_child_at_index(n) for n in range(app.get_child_count())]
    return [window for window in reversed(found) if window is not None]


def name_of(node):
    # A space that does not break is a space to whoever reads it.
    return (node.get_name() or "").replace("\u00a0", " ")


def box(node):
    return node.get_extents(Atspi.CoordType.WINDOW)


def find(name, role):
    for window in windows():
        for node in below(window):
            try:
                fits = name_of(node) == name and role in (None, node.get_role_name())
                if fits and box(node).width > 0 and box(node).height > 0:
                    return window, node
            except GLib.Error:
                pass
    return None


def hand(*what):
    subprocess.run(["xdotool", *map(str, what)], check=True)


def click(name, role):
    found = find(name, role)
    if found is None:
        return False
    window, node = found
    for _ in range(30):
        inside, area = box(window), box(node)
        x, y = area.x + area.width // 2, area.y + area.height // 2
        # The header stays where it is; below it, what is out of sight is scrolled to.
        if y < inside.height - 8 and (y > 60 or area.y >= 0):
            before = (area.x, area.y)
            time.sleep(0.1)
            if (box(node).x, box(node).y) == before:
                hand("mousemove", x, y, "click", 1)
                return True
            continue
        hand("mousemove", inside.width // 2, inside.height // 2, "click", 5 if y > 60 else 4)
        time.sleep(0.1)
    return False


def texts(role):
    """Every name of that role, window by window."""
    found = []
    for window in windows():
        for node in below(window):
            try:
                if node.get_role_name() == role and name_of(node):
                    found.append(name_of(node))
            except GLib.Error:
                pass
    return found


def reads(name):
    """The text of what has this name, as it is read out."""
    found = find(name, "text")
    if found is None:
        return None
    text = found[1].get_text_iface()
    return text.get_text(0, text.get_character_count())


def colour(name, place):
    """The colour of one character of a text, or nothing where it is that of all text."""
    found = find(name, "text")
    if found is None:
        return None
    attributes, _, _ = found[1].get_text_iface().get_text_attributes(place)
    return attributes.get("fg-color")


def focused():
    """The name of what has the focus."""
    for window in windows():
        for node in below(window):
            try:
                if node.get_state_set().contains(Atspi.StateType.FOCUSED):
                    return name_of(node)
            except GLib.Error:
                pass
    return ""


def wheel(up):
    """Turns the wheel a little, in the middle of the newest window."""
    inside = box(windows()[0])
    hand("mousemove", inside.width // 2, inside.height // 2)
    hand("click", "--repeat", 5, 4 if up else 5)


def resize(width, height):
    """Makes the newest window this large, as by its edge."""
    found = subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--class", "legwork"],
        check=True, capture_output=True, text=True,
    )
    hand("windowsize", found.stdout.split()[-1], width, height)


def answer(command):
    do = command.pop("do")
    if do == "click":
        return click(command["name"], command.get("role"))
    if do == "texts":
        return texts(command["role"])
    if do == "sees":
        return find(command["name"], command.get("role")) is not None
    if do == "reads":
        return reads(command["name"])
    if do == "colour":
        return colour(command["name"], command["place"])
    if do == "windows":
        return [name_of(window) for window in windows()]
    if do == "focused":
        return focused()
    if do == "wheel":
        wheel(command["up"])
        return True
    if do == "press":
        hand("key", command["keys"])
        return True
    if do == "resize":
        resize(command["width"], command["height"])
        return True
    if do == "type":
        hand("type", "--delay", 30, command["text"])
        return True
    raise ValueError(do)


Atspi.init()
# A window that is being built answers slowly on a busy machine.
Atspi.set_timeout(10_000, 10_000)
for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except GLib.Error as error:
        # Something went away while it was looked at. Whoever waits asks again.
        print(error, file=sys.stderr)
        reply = None
    print(json.dumps(reply), flush=True)
