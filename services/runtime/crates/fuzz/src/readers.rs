//! What reads the documents: the runtime's own functions, up to the point where it would make something.

use engine::Store;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CONFIGS: [&[u8]; 2] =
    [include_bytes!("../corpus/config/engine.json"), include_bytes!("../corpus/config/everything.json")];
const STATES: [&[u8]; 1] = [include_bytes!("../corpus/state/created.json")];
const ID: &str = "fuzzed";

/// One kind of document with the folder in which its reader looks for it.
pub(crate) struct Reader {
    kind: Kind,
    folder: Folder,
}

#[derive(Clone, Copy)]
enum Kind {
    Config,
    State,
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Reader {
    /// One of each kind.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        [Kind::Config, Kind::State].into_iter().map(Self::new).collect()
    }

    fn new(kind: Kind) -> io::Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("dockyard-fuzz-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join(ID))?;
        Ok(Self { kind, folder })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Config => "config",
            Kind::State => "state",
        }
    }

    pub(crate) fn corpus(&self) -> &'static [&'static [u8]] {
        match self.kind {
            Kind::Config => &CONFIGS,
            Kind::State => &STATES,
        }
    }

    /// Whether the document is accepted.
    pub(crate) fn read(&self, document: &[u8]) -> io::Result<bool> {
        let folder = self.folder.0.join(ID);
        Ok(match self.kind {
            Kind::Config => {
                fs::write(folder.join("config.json"), document)?;
                config(&folder)
            }
            Kind::State => {
                fs::write(folder.join("state.json"), document)?;
                state(&self.folder.0)
            }
        })
    }
}

fn config(bundle: &Path) -> bool {
    let Ok(spec) = engine::load_config(bundle) else { return false };
    match spec.linux.and_then(|linux| linux.seccomp) {
        // What is compiled must be what `exec` reads again.
        Some(profile) => seccomp::compile(&profile).is_ok_and(|program| {
            seccomp::Program::from_bytes(&program.to_bytes()).is_some_and(|again| again.flags == program.flags)
        }),
        None => true,
    }
}

fn state(root: &Path) -> bool {
    let store = Store::new(root);
    store.load(ID).is_ok_and(|container| serde_json::to_vec(&container.state()).is_ok())
}
