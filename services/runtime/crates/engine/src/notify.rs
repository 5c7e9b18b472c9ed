//! Passing a notice of readiness (sd_notify) from the container to the service manager that started the runtime.
//!
//! As with crun, the container finds its own socket below the path that the manager named, in a folder that `create`
//! mounts and in which `start` binds the socket.

use crate::error::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "NOTIFY_SOCKET";
const SOCKET: &str = "notify";

/// The manager's socket, if it waits for a notice.
fn asked() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|path| Path::new(path).is_absolute())
}

/// Where the container's folder is mounted, if a manager waits.
pub(crate) fn destination() -> Option<PathBuf> {
    asked().map(PathBuf::from)
}

/// The variable for the container's process.
pub(crate) fn variable() -> Option<String> {
    destination().map(|path| format!("{VARIABLE}={}", path.join(SOCKET).display()))
}

fn folder(directory: &Path) -> PathBuf {
    directory.join("notify")
}

/// Make the folder, if a manager waits.
pub(crate) fn prepare(directory: &Path) -> Result<Option<PathBuf>> {
    if asked().is_none() {
        return Ok(None);
    }
    let folder = folder(directory);
    fs::create_dir(&folder).context(|| format!("create {}", folder.display()))?;
    Ok(Some(folder))
}

/// The container's socket, and who waits for its notice.
pub struct Notice {
    socket: UnixDatagram,
    manager: OsString,
    pid: i32,
}

impl Notice {
    /// Bind the socket of a container that has one and whose manager waits.
    pub(crate) fn listen(directory: &Path, pid: i32) -> Result<Option<Self>> {
        let path = folder(directory).join(SOCKET);
        let Some(manager) = asked().filter(|_| folder(directory).exists()) else { return Ok(None) };
        let socket = UnixDatagram::bind(&path).context(|| format!("bind {}", path.display()))?;
        // Whoever the container's user is.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).during("open the notify socket to all")?;
        Ok(Some(Self { socket, manager, pid }))
    }

    /// Wait until the container says that it is ready, or ends, and pass it on.
    ///
    /// # Errors
    /// Those of the sockets.
    pub fn forward(&self) -> Result<()> {
        self.socket.set_nonblocking(true).during("receive a notice")?;
        let pidfd = sys::process::open_pidfd(self.pid).ok();
        let mut buffer = [0; 4096];
        loop {
            if let Some(pidfd) = &pidfd {
                let both = [Some(self.socket.as_fd()), Some(pidfd.as_fd())];
                if !sys::fs::wait_any(&both).during("wait for a notice")?[0] {
                    return Ok(());
                }
            }
            // Without a process, what it has left is all there will be.
            let Ok(length) = self.socket.recv(&mut buffer) else { return Ok(()) };
            let text = String::from_utf8_lossy(&buffer[..length]);
            if let Some(line) = text.lines().find(|line| line.starts_with("READY=")) {
                return self.pass(line);
            }
        }
    }

    fn pass(&self, line: &str) -> Result<()> {
        let client = UnixDatagram::unbound().during("create a socket")?;
        for message in [line.to_string(), format!("MAINPID={}", self.pid)] {
            client
                .send_to(message.as_bytes(), &self.manager)
                .context(|| format!("send the notice to {}", Path::new(&self.manager).display()))?;
        }
        Ok(())
    }
}
