//! What the tests of D-Bus and of the desktop share.
