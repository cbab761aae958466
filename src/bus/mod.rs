//! D-Bus without a helper thread: feature `dbus`.
