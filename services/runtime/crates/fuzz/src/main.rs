//! A corpus runner: `fuzz [SECONDS [SEED]]` damages the documents of `corpus/` and reads them as the runtime does.
//!
//! A reader may refuse a document, but must neither panic nor take long. What it fails on is written to the current
//! directory, and the exit status is 1.

mod mutate;
mod readers;

use mutate::Random;
use readers::Reader;
use std::io::Write;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

/// What reading one document may take, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (seconds, seed) = (words.next().unwrap_or(Ok(60)), words.next().unwrap_or(Ok(1)));
    let (Ok(seconds), Ok(seed)) = (seconds, seed) else {
        eprintln!("usage: fuzz [SECONDS [SEED]]");
        std::process::exit(2);
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    match run(seed, || Instant::now() < end) {
        Ok(counts) => println!("{} documents read, {} of them accepted; none did harm", counts.read, counts.accepted),
        Err(failure) => {
            eprintln!("{failure}");
            std::process::exit(1);
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    read: u64,
    accepted: u64,
}

/// Damage and read until `more` says no; the sentence tells what went wrong and where the document lies.
fn run(seed: u64, mut more: impl FnMut() -> bool) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let readers = Reader::all().map_err(|error| format!("prepare: {error}"))?;
    let mut counts = Counts::default();
    for reader in &readers {
        for document in reader.corpus() {
            if !check(reader, document)? {
                return Err(format!("the corpus of {} holds a document that is refused", reader.name()));
            }
        }
    }
    while more() {
        let reader = &readers[random.below(readers.len())];
        let corpus = reader.corpus();
        let document = mutate::damage(corpus[random.below(corpus.len())], &mut random);
        counts.accepted += u64::from(check(reader, &document)?);
        counts.read += 1;
    }
    Ok(counts)
}

/// Whether the document is accepted.
fn check(reader: &Reader, document: &[u8]) -> Result<bool, String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| reader.read(document)));
    let failure = match result {
        Ok(Ok(accepted)) if start.elapsed() <= PATIENCE => return Ok(accepted),
        Ok(Ok(_)) => format!("took {:?}", start.elapsed()),
        Ok(Err(error)) => return Err(format!("{}: {error}", reader.name())),
        Err(_) => "panicked".to_string(),
    };
    let path = format!("fuzz-{}-{}.json", reader.name(), std::process::id());
    let saved = std::fs::File::create(&path).and_then(|mut file| file.write_all(document));
    Err(format!("{} {failure}; the document: {path} ({saved:?})", reader.name()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thousand_documents_do_no_harm() {
        let mut left = 1000;
        let counts = super::run(7, || {
            left -= 1;
            left > 0
        });
        assert!(counts.as_ref().is_ok_and(|counts| counts.read == 999), "{counts:?}");
    }

    #[test]
    fn some_damage_is_survivable() {
        let mut left = 500;
        let counts = super::run(8, || {
            left -= 1;
            left > 0
        });
        assert!(counts.as_ref().is_ok_and(|counts| counts.accepted > 50 && counts.accepted < 250), "{counts:?}");
    }
}
