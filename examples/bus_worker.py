#!/usr/bin/python3
"""A worker in Python that serves a typed D-Bus interface to its app, by GDBus.

The app starts it by legwork::Command, with its end of legwork::bus::peer() as descriptor 3. On Debian: python3-gi.
"""

import os

from gi.repository import Gio, GLib

NODE = Gio.DBusNodeInfo.new_for_xml("""
<node>
  <interface name="org.legwork.Subject">
    <method name="Sum">
      <arg type="at" direction="in"/>
      <arg type="t" direction="out"/>
    </method>
    <method name="Read">
      <arg type="h" direction="in"/>
      <arg type="s" direction="out"/>
    </method>
    <method name="Exit"/>
  </interface>
</node>""")


def called(_connection, _sender, _path, _interface, method, arguments, invocation):
    if method == "Sum":
        invocation.return_value(GLib.Variant("(t)", (sum(arguments[0]),)))
    elif method == "Read":
        descriptors = invocation.get_message().get_unix_fd_list()
        with open(descriptors.get(arguments[0])) as file:
            invocation.return_value(GLib.Variant("(s)", (file.read(),)))
    else:
        os._exit(3)  # without an answer


flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.DELAY_MESSAGE_PROCESSING
stream = Gio.Socket.new_from_fd(3).connection_factory_create_connection()
connection = Gio.DBusConnection.new_sync(stream, None, flags, None, None)
connection.register_object("/org/legwork/Subject", NODE.interfaces[0], called, None, None)
connection.start_message_processing()

loop = GLib.MainLoop()
connection.connect("closed", lambda *_: loop.quit())  # the app has gone
loop.run()
