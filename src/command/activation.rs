//! Programs that open windows: a token by which their window may come to the front.

use gio::prelude::*;
use gio::{AppInfo, AppInfoCreateFlags, AppLaunchContext};

use super::builder::Command;

/// A token that was given out, and by whom.
pub(super) struct Activation {
    context: AppLaunchContext,
    token: glib::GString,
}

impl Activation {
    /// The program has not started: a busy cursor need not wait for its window.
    pub(super) fn fail(self) {
        self.context.launch_failed(&self.token);
    }
}

impl Command {
    /// Lets the program's window come to the front: gives it a new activation token, as `XDG_ACTIVATION_TOKEN` and
    /// `DESKTOP_STARTUP_ID`. Without one, its window may open behind that of the app. The app's own token is never handed
    /// on.
    ///
    /// The context is that of the display on which the person has just clicked:
    /// `window.display().app_launch_context()` in a GTK app. A token is for one start and for a short time, so call this
    /// right before [`spawn`](Self::spawn). Where there is no token (another kind of context, a display without them),
    /// nothing is set. A call of [`env_clear`](Self::env_clear) after this removes it.
    ///
    /// GDK asks the compositor for the token, and waits for the answer. See the protocols xdg-activation-v1 and
    /// startup-notification.
    pub fn activate_from(mut self, context: &impl IsA<AppLaunchContext>) -> Self {
        // GDK for X11 wants to know a name; no file of that name is needed.
        let name = self.get_program().to_string_lossy().replace('\0', "");
        let quoted = glib::shell_quote(&name);
        let flags = AppInfoCreateFlags::SUPPORTS_STARTUP_NOTIFICATION;
        let info = AppInfo::create_from_commandline(quoted, Some(&name), flags).ok();
        let token = context.startup_notify_id(info.as_ref(), &[]);
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return self;
        };
        self = self
            .env("XDG_ACTIVATION_TOKEN", &token)
            .env("DESKTOP_STARTUP_ID", &token);
        let context = context.upcast_ref::<AppLaunchContext>().clone();
        self.activation = Some(Activation { context, token });
        self
    }
}
