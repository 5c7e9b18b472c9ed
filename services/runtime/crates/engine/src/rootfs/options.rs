//! The words of `mounts[].options`.

use crate::error::{Error, Result};
use sys::mount;

/// Options in the kernel's terms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    /// Change the mount that is there.
    pub(crate) remount: bool,
    pub(crate) set: u64,
    pub(crate) clear: u64,
    /// Attributes for the whole tree below (`rro`, `rnosuid`, …).
    pub(crate) tree_set: u64,
    pub(crate) tree_clear: u64,
    pub(crate) propagation: Vec<u64>,
    /// Words for the superblock, as the kernel spells them.
    pub(crate) superblock: Vec<&'static str>,
    pub(crate) copy_up: bool,
    /// Map ids; true for the whole tree.
    pub(crate) idmap: Option<bool>,
    pub(crate) data: Vec<String>,
}

const ATTRIBUTES: &[(&str, u64, u64)] = &[
    ("ro", mount::ATTR_RDONLY, 0),
    ("rw", 0, mount::ATTR_RDONLY),
    ("nosuid", mount::ATTR_NOSUID, 0),
    ("suid", 0, mount::ATTR_NOSUID),
    ("nodev", mount::ATTR_NODEV, 0),
    ("dev", 0, mount::ATTR_NODEV),
    ("noexec", mount::ATTR_NOEXEC, 0),
    ("exec", 0, mount::ATTR_NOEXEC),
    ("nodiratime", mount::ATTR_NODIRATIME, 0),
    ("diratime", 0, mount::ATTR_NODIRATIME),
    ("noatime", mount::ATTR_NOATIME, mount::ATTR_ATIME),
    ("atime", mount::ATTR_RELATIME, mount::ATTR_ATIME),
    ("relatime", mount::ATTR_RELATIME, mount::ATTR_ATIME),
    ("norelatime", mount::ATTR_STRICTATIME, mount::ATTR_ATIME),
    ("strictatime", mount::ATTR_STRICTATIME, mount::ATTR_ATIME),
    ("nostrictatime", mount::ATTR_RELATIME, mount::ATTR_ATIME),
    ("nosymfollow", mount::ATTR_NOSYMFOLLOW, 0),
    ("symfollow", 0, mount::ATTR_NOSYMFOLLOW),
];

const PROPAGATION: &[(&str, u64)] = &[
    ("private", mount::MS_PRIVATE),
    ("rprivate", mount::MS_PRIVATE | mount::MS_REC),
    ("shared", mount::MS_SHARED),
    ("rshared", mount::MS_SHARED | mount::MS_REC),
    ("slave", mount::MS_SLAVE),
    ("rslave", mount::MS_SLAVE | mount::MS_REC),
    ("unbindable", mount::MS_UNBINDABLE),
    ("runbindable", mount::MS_UNBINDABLE | mount::MS_REC),
];

/// The kernel takes them in their order.
const SUPERBLOCK: &[&str] = &["sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand", "iversion"];
const NOTHING: &[&str] = &["noiversion", "loud", "silent", "defaults"];
const REFUSED: &[&str] = &["move"];

/// Every word that is understood, for `features`.
#[must_use]
pub fn names() -> Vec<String> {
    let mut found: Vec<String> = ATTRIBUTES.iter().map(|(name, ..)| (*name).to_string()).collect();
    found.extend(ATTRIBUTES.iter().filter(|(name, ..)| *name != "dev").map(|(name, ..)| format!("r{name}")));
    found.push("rdev".into());
    found.extend(PROPAGATION.iter().map(|(name, _)| (*name).to_string()));
    found.extend(SUPERBLOCK.iter().chain(NOTHING).map(ToString::to_string));
    found.extend(["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"].map(String::from));
    found.sort();
    found
}

/// The flags of a propagation word.
pub(crate) fn propagation(word: &str) -> Option<u64> {
    PROPAGATION.iter().find(|(name, _)| *name == word).map(|(_, flags)| *flags)
}

/// Sort the words of one mount; unknown ones are data for the file system.
pub(crate) fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options::default();
    for word in words {
        if let Some((_, set, clear)) = ATTRIBUTES.iter().find(|(name, ..)| name == word) {
            options.set = options.set & !clear | set;
            options.clear = options.clear & !set | clear;
        } else if let Some((_, set, clear)) =
            word.strip_prefix('r').and_then(|rest| ATTRIBUTES.iter().find(|(name, ..)| *name == rest))
        {
            options.tree_set = options.tree_set & !clear | set;
            options.tree_clear = options.tree_clear & !set | clear;
        } else if let Some(flags) = propagation(word) {
            options.propagation.push(flags);
        } else if let Some(name) = SUPERBLOCK.iter().find(|name| *name == word) {
            options.superblock.push(name);
        } else if word == "noiversion" {
            // The kernel has no word for it.
            options.superblock.retain(|each| *each != "iversion");
        } else if word == "bind" || word == "rbind" {
            options.bind = true;
            options.recursive = word == "rbind";
        } else if word == "idmap" || word == "ridmap" {
            options.idmap = Some(word == "ridmap");
        } else if word == "remount" {
            options.remount = true;
        } else if word == "tmpcopyup" {
            options.copy_up = true;
        } else if REFUSED.contains(&word.as_str()) {
            return Err(Error::config(format!("mounts: option {word:?} is not supported")));
        } else if !NOTHING.contains(&word.as_str()) && !word.is_empty() {
            options.data.push(word.clone());
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use sys::mount;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(String::from).collect()
    }

    #[test]
    fn the_last_word_wins() {
        let Ok(options) = parse(&words("ro,nosuid,rw,size=64k,mode=755")) else { unreachable!() };
        assert_eq!((options.set, options.clear & mount::ATTR_RDONLY), (mount::ATTR_NOSUID, mount::ATTR_RDONLY));
        assert_eq!(options.data, ["size=64k", "mode=755"]);
    }

    #[test]
    fn recursive_words_are_not_taken_for_others() {
        let Ok(options) = parse(&words("rbind,rro,rshared,relatime")) else { unreachable!() };
        assert!(options.bind && options.recursive);
        assert_eq!(options.tree_set, mount::ATTR_RDONLY);
        assert_eq!(options.propagation, [mount::MS_SHARED | mount::MS_REC]);
        assert!(options.data.is_empty());
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let message = parse(&words("move")).err().map(|error| error.message);
        assert_eq!(message.as_deref(), Some("mounts: option \"move\" is not supported"));
    }
}
