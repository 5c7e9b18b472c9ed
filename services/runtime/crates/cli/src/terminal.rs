//! Waiting for a process in the foreground; if it has a terminal, its output and our input are passed on.

use engine::{Error, Kind, Result};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use sys::{process, tty};

/// A socket pair for a terminal: ours, and the one that stands for `--console-socket`.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    sys::socket::pair().map_err(|error| failed(&error))
}

/// Forward signals to a child, and bytes between its terminal and ours, until it ends; its exit code.
pub(crate) fn attend(pid: i32, relay: Option<OwnedFd>) -> Result<i32> {
    // The terminal was sent before the process was ready, if there is one.
    let master = relay.and_then(|socket| sys::socket::receive_descriptor(&socket).ok().flatten());
    let signals = process::signal_descriptor().map_err(|error| failed(&error))?;
    let Some(master) = master else { return attend_without(pid, &signals) };
    let raw = Raw::begin();
    resize(&master);
    let result = relay_until_end(pid, &signals, File::from(master));
    drop(raw);
    result
}

fn attend_without(pid: i32, signals: &OwnedFd) -> Result<i32> {
    loop {
        let signal = process::read_signal(signals).map_err(|error| failed(&error))?;
        if let Some(code) = handle(pid, signal, None)? {
            return Ok(code);
        }
    }
}

fn relay_until_end(pid: i32, signals: &OwnedFd, mut master: File) -> Result<i32> {
    let mut input = true;
    let mut output = true;
    let stdin = io::stdin();
    loop {
        let wanted = [Some(signals.as_fd()), output.then(|| master.as_fd()), input.then(|| stdin.as_fd())];
        let ready = sys::fs::wait_any(&wanted).map_err(|error| failed(&error))?;
        if ready[1] {
            output = pass(&mut master, &mut io::stdout());
        }
        if ready[2] {
            input = pass(&mut stdin.lock(), &mut master);
        }
        if ready[0] {
            let signal = process::read_signal(signals).map_err(|error| failed(&error))?;
            if let Some(code) = handle(pid, signal, Some(&master))? {
                drain(&mut master, &mut output);
                return Ok(code);
            }
        }
    }
}

/// What the ended process has still printed.
fn drain(master: &mut File, output: &mut bool) {
    while *output && sys::fs::wait_readable_for(master.as_fd(), 0).unwrap_or(false) {
        *output = pass(master, &mut io::stdout());
    }
}

/// One read and its writes; false at the end. A terminal ends with EIO.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
        Ok(length) => to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_ok(),
    }
}

/// The exit code if the signal says that the process has ended.
fn handle(pid: i32, signal: i32, master: Option<&File>) -> Result<Option<i32>> {
    match signal {
        process::SIGCHLD => {
            let ended = process::wait(pid, false).map_err(|error| failed(&error))?;
            Ok(ended.map(|(_, ended)| ended.code()))
        }
        libc::SIGWINCH if master.is_some() => {
            if let Some(master) = master {
                resize(master);
            }
            Ok(None)
        }
        // It may have just ended; SIGCHLD then follows.
        signal => {
            let _ = process::kill(pid, signal);
            Ok(None)
        }
    }
}

/// Give the container's terminal the size of ours, if we have one.
fn resize(master: impl AsFd) {
    if let Ok((height, width)) = tty::size(io::stdin()) {
        // Only the look is at stake.
        let _ = tty::set_size(master, height, width);
    }
}

/// Our terminal in raw mode, until dropped: the container's terminal does what ours would.
struct Raw(Option<tty::Settings>);

impl Raw {
    fn begin() -> Self {
        Self(tty::make_raw(io::stdin()).ok())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = tty::restore(io::stdin(), settings);
        }
    }
}

fn failed(error: &io::Error) -> Error {
    Error::new(Kind::Internal, format!("wait for the process: {error}"))
}
