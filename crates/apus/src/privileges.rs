//! Becoming the user of the configuration, with its priority.

use crate::Failure;
use nix::unistd::{User, geteuid, initgroups, setgid, setuid};
use std::ffi::CString;
use swift_conf::server_conf::ProcessConf;

/// Sets the scheduling priority that the configuration asks for, while this process may still do so.
/// As in Swift, a priority that is refused is a warning. Swift counterpart: `modify_priority`.
pub(crate) fn set_priority(conf: &ProcessConf) {
    if let Some(nice) = conf.nice_priority
        && let Err(error) = rustix::process::setpriority_process(None, i32::from(nice))
    {
        eprintln!("apus: cannot set nice_priority to {nice}: {error}; going on without it");
    }
    if conf.ionice_class.is_some() || conf.ionice_priority.is_some() {
        eprintln!(
            "apus: ionice_class and ionice_priority are not offered; start the server under \
             ionice(1) instead"
        );
    }
}

/// When this process runs as root, becomes the user that the configuration names, with that user's
/// groups; otherwise changes nothing. Swift counterpart: `drop_privileges`.
pub(crate) fn become_user(name: &str) -> Result<(), Failure> {
    if !geteuid().is_root() || name == "root" {
        return Ok(());
    }
    let cannot = |why: String| {
        Failure::new(format!(
            "cannot become the user {name:?}: {why}; set `user` in [DEFAULT] to a user that exists"
        ))
    };
    let user = User::from_name(name).map_err(|e| cannot(e.to_string()))?;
    let user = user.ok_or_else(|| cannot("there is no such user".into()))?;
    let c_name = CString::new(name).map_err(|e| cannot(e.to_string()))?;
    initgroups(&c_name, user.gid)
        .and_then(|()| setgid(user.gid))
        .and_then(|()| setuid(user.uid))
        .map_err(|e| cannot(e.to_string()))
}

/// The name of the user that runs this process; its number when it has no name.
pub(crate) fn current_user() -> String {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => user.name,
        _ => id.to_string(),
    }
}
