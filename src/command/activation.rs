//! Programs that open windows: a token by which their window may come to the front.

use std::ffi::OsStr;

use gio::prelude::*;
use gio::{AppInfo, AppInfoCreateFlags, AppLaunchContext};

/// A token that was given out, and by whom.
pub(super) struct Activation {
    context: AppLaunchContext,
    token: glib::GString,
}

impl Activation {
    /// `None` where there are no tokens.
    pub(super) fn new(context: &AppLaunchContext, program: &OsStr) -> Option<Self> {
        // GDK for X11 wants to know a name; no file of that name is needed.
        let name = program.to_string_lossy().replace('\0', "");
        let quoted = glib::shell_quote(&name);
        let flags = AppInfoCreateFlags::SUPPORTS_STARTUP_NOTIFICATION;
        let info = AppInfo::create_from_commandline(quoted, Some(&name), flags).ok();
        let token = context.startup_notify_id(info.as_ref(), &[]);
        let token = token.filter(|token| !token.is_empty())?;
        let context = context.clone();
        Some(Activation { context, token })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The program has not started: a busy cursor need not wait for its window.
    pub(super) fn fail(self) {
        self.context.launch_failed(&self.token);
    }
}
