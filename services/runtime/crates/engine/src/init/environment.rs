//! The environment of a process.

use crate::init::settle::Settings;
use crate::rootfs::resolve;
use spec::Process;
use std::fs;
use std::path::Path;

/// The environment; HOME is added from the container's /etc/passwd where it is missing.
pub(crate) fn environment(process: &Process, settings: Settings<'_>) -> Vec<String> {
    let mut variables: Vec<String> = Vec::with_capacity(process.env.len() + 4);
    for variable in &process.env {
        // The last one counts, whichever a program would find. What has no value is no variable, and is passed as it is.
        let key = |text: &str| text.split_once('=').map(|(key, _)| key.to_string());
        let wanted = key(variable);
        match variables.iter_mut().find(|each| wanted.is_some() && key(each) == wanted) {
            Some(earlier) => earlier.clone_from(variable),
            None => variables.push(variable.clone()),
        }
    }
    if settings.listening > 0 {
        variables.push(format!("LISTEN_FDS={}", settings.listening));
        variables.push("LISTEN_PID=1".into());
    }
    variables.extend(settings.notify.map(String::from));
    if !variables.iter().any(|each| each.starts_with("HOME=")) {
        variables.push(format!("HOME={}", home_of(process.user.uid)));
    }
    variables
}

fn home_of(uid: u32) -> String {
    let known = || -> Option<String> {
        let root = resolve::host_directory(Path::new("/")).ok()?;
        let file =
            sys::openat2::open_in_root(&root, Path::new("etc/passwd"), libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()?;
        // An image may name a device or an endless file here.
        if sys::fs::stat(&file).ok()?.mode & libc::S_IFMT != libc::S_IFREG {
            return None;
        }
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(fs::File::from(file), 1 << 20), &mut text).ok()?;
        String::from_utf8_lossy(&text).lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.len() >= 6 && fields[2].parse() == Ok(uid)).then(|| fields[5].to_string())
        })
    };
    known().filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into())
}
