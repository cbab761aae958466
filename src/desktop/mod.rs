//! What the session knows of a child, and does for it: feature `desktop`, which needs GIO alone.
