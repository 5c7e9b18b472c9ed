//! One CRIU process that answers requests on a socket (`criu swrk`).

use super::message::{bytes_of, fields, number_of, Message};
use crate::error::{describe, Context, Error, Result};
use crate::notes::debug;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `criu_req_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    Notify = 6,
    FeatureCheck = 9,
    Version = 10,
}

/// What a kernel, and CRIU, may lack: the numbers in `criu_features`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feature {
    MemoryTracking = 1,
    LazyPages = 2,
}

/// CRIU has come to a point where the caller has something to do.
pub(crate) struct Notice<'a> {
    pub(crate) script: &'a str,
    /// Of the process that it is about, as the caller sees it; 0 if it is about none.
    pub(crate) pid: i32,
    pub(crate) descriptor: Option<OwnedFd>,
}

/// Answers are short.
const LARGEST_ANSWER: usize = 64 << 10;

/// The process; dropped, it ends, and undoes what it has begun.
pub(crate) struct Service {
    socket: Option<OwnedFd>,
    child: Child,
}

impl Service {
    /// Start it. With `streams` it has the caller's standard streams, to give them to a restored process.
    pub(crate) fn start(program: &Path, streams: bool) -> Result<Self> {
        let program = find(program)?;
        let (ours, theirs) = sys::socket::pair().during("create a socket pair")?;
        sys::process::keep_on_exec(theirs.as_raw_fd()).during("pass a socket to criu")?;
        let stream = || if streams { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(&program)
            .args(["swrk", &theirs.as_raw_fd().to_string()])
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .map_err(|error| missing(&program, &describe(&error)))?;
        Ok(Self { socket: Some(ours), child })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its version, as 40201 for 4.2.1; what was built from a repository counts as the next one.
    pub(crate) fn version(&self) -> Result<u64> {
        let mut request = Message::default();
        request.number(1, Request::Version as i64).flag(4, true);
        let answer = self.exchange(&request)?.0;
        let version = fields(&answer).map(|answer| bytes_of(&answer, 10).to_vec()).unwrap_or_default();
        let version = fields(&version).ok_or_else(unreadable)?;
        let (major, minor, patch) = (number_of(&version, 1), number_of(&version, 2), number_of(&version, 4));
        Ok(major * 10_000 + if bytes_of(&version, 3).is_empty() { minor * 100 + patch } else { (minor + 1) * 100 })
    }

    /// Whether it, and the kernel, can do something.
    pub(crate) fn has(&self, feature: Feature) -> Result<bool> {
        let mut features = Message::default();
        features.flag(feature as u32, true);
        let mut request = Message::default();
        request.number(1, Request::FeatureCheck as i64).flag(4, true).part(5, &features);
        let answer = self.exchange(&request)?.0;
        let answer = fields(&answer).ok_or_else(unreadable)?;
        let found = fields(bytes_of(&answer, 8)).ok_or_else(unreadable)?;
        Ok(number_of(&answer, 2) == 1 && number_of(&found, feature as u32) == 1)
    }

    /// Have something done. A notice that fails ends it, and its error is the result.
    pub(crate) fn ask(
        mut self,
        kind: Request,
        options: &Message,
        notify: &mut dyn FnMut(Notice<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut request = Message::default();
        request.number(1, kind as i64).part(2, options);
        let mut refused = None;
        loop {
            let (answer, descriptor) = match self.exchange(&request) {
                // Told that a step has failed, it need not say more.
                Err(error) => return Err(refused.unwrap_or(error)),
                Ok(answer) => answer,
            };
            let answer = fields(&answer).ok_or_else(unreadable)?;
            if number_of(&answer, 1) != Request::Notify as u64 {
                if let Some(error) = refused {
                    return Err(error);
                }
                check(kind, number_of(&answer, 2) == 1, number_of(&answer, 7), bytes_of(&answer, 9))?;
                return self.finish(kind);
            }
            let notice = fields(bytes_of(&answer, 5)).ok_or_else(unreadable)?;
            let script = String::from_utf8_lossy(bytes_of(&notice, 1));
            debug(&format!("criu: {script}"));
            let result = notify(Notice { script: &script, pid: number_of(&notice, 2) as i32, descriptor });
            request = Message::default();
            request.number(1, Request::Notify as i64).flag(3, result.is_ok());
            refused = refused.or(result.err());
        }
    }

    fn exchange(&self, request: &Message) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        let ended = || Error::internal("criu ended without an answer");
        let socket = self.socket.as_ref().ok_or_else(ended)?;
        sys::socket::send(socket, request.bytes()).during("ask criu")?;
        let mut answer = vec![0; LARGEST_ANSWER];
        let (length, descriptor) =
            sys::socket::receive_with_descriptor(socket, &mut answer).during("receive criu's answer")?;
        if length == 0 {
            return Err(ended());
        }
        answer.truncate(length);
        Ok((answer, descriptor))
    }

    /// Wait for its end. After a pre-dump it would wait for the dump, and counts our leaving as a failure.
    fn finish(&mut self, kind: Request) -> Result<()> {
        self.socket = None;
        let status = self.child.wait().during("wait for criu")?;
        if status.success() || kind == Request::PreDump {
            Ok(())
        } else {
            Err(Error::internal(format!("criu failed: {status}")))
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It ends when its socket is closed. Nobody is left to tell.
        self.socket = None;
        let _ = self.child.wait();
    }
}

fn unreadable() -> Error {
    Error::internal("criu's answer cannot be read")
}

fn check(kind: Request, success: bool, errno: u64, message: &[u8]) -> Result<()> {
    if success {
        return Ok(());
    }
    let kind = match kind {
        Request::Dump => "DUMP",
        Request::PreDump => "PRE_DUMP",
        Request::Restore => "RESTORE",
        Request::Notify | Request::FeatureCheck | Request::Version => "",
    };
    let message = String::from_utf8_lossy(message);
    let message = message.trim();
    let colon = if message.is_empty() { "" } else { ": " };
    Err(Error::internal(format!("criu failed: type {kind} errno {errno}{colon}{message}")))
}

/// How many errors of the log are told.
const TOLD: usize = 2;

/// The error of a failed request with what its log says. Early errors may be of no account (what the kernel lacks), and the last
/// ones say no more than that it has failed.
pub(crate) fn explain(error: &Error, log: &Path) -> Error {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let errors: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("Error ").map(|(_, rest)| rest.trim()))
        .filter(|rest| !rest.ends_with("FAILED."))
        .collect();
    if errors.is_empty() {
        return error.clone();
    }
    let told = errors[errors.len().saturating_sub(TOLD)..].join("; ");
    // Its own message is the first of them.
    let summary = error.message.split(": Error").next().unwrap_or(&error.message);
    Error::new(error.kind, format!("{summary}: {told} (all of it is in {})", log.display()))
}

fn missing(program: &Path, cause: &str) -> Error {
    Error::internal(format!("criu is needed and is not there: {}: {cause}", program.display()))
}

/// The program by its path, or by its name in `PATH`.
pub(crate) fn find(program: &Path) -> Result<PathBuf> {
    if program.components().count() > 1 {
        return fs::metadata(program).map(|_| program.into()).map_err(|error| missing(program, &describe(&error)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| missing(program, "executable file not found in $PATH"))
}
