//! A client of D-Bus, as small as talking to systemd's manager needs: method calls, their replies, and signals.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long systemd may take to answer or to finish a job, as with runc.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 1 << 20;

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Byte(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Words(Vec<u32>),
    Texts(Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Byte(_) => "y",
            Self::I16(_) => "n",
            Self::U16(_) => "q",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::Double(_) => "d",
            Self::Text(_) => "s",
            Self::Bytes(_) => "ay",
            Self::Words(_) => "au",
            Self::Texts(_) => "as",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// Bytes in D-Bus's layout, little endian.
#[derive(Default)]
pub(super) struct Body {
    signature: String,
    bytes: Vec<u8>,
}

impl Body {
    pub(super) fn text(mut self, text: &str) -> Self {
        self.signature.push('s');
        put_text(&mut self.bytes, text);
        self
    }

    pub(super) fn boolean(mut self, value: bool) -> Self {
        self.signature.push('b');
        align(&mut self.bytes, 4);
        self.bytes.extend(u32::from(value).to_le_bytes());
        self
    }

    /// `a(sv)`: properties of a unit.
    pub(super) fn properties(mut self, properties: &[(String, Value)]) -> Self {
        self.signature.push_str("a(sv)");
        put_array(&mut self.bytes, 8, |bytes| {
            for (name, value) in properties {
                align(bytes, 8);
                put_text(bytes, name);
                put_signature(bytes, value.signature());
                put_value(bytes, value);
            }
        });
        self
    }

    /// `a(sa(sv))`, empty: no auxiliary units.
    pub(super) fn no_units(mut self) -> Self {
        self.signature.push_str("a(sa(sv))");
        put_array(&mut self.bytes, 8, |_| {});
        self
    }
}

fn align(bytes: &mut Vec<u8>, boundary: usize) {
    bytes.resize(bytes.len().next_multiple_of(boundary), 0);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    align(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(signature.len() as u8);
    bytes.extend(signature.as_bytes());
    bytes.push(0);
}

/// An array's length does not count the padding before its first element.
fn put_array(bytes: &mut Vec<u8>, element: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    align(bytes, 4);
    let at = bytes.len();
    bytes.extend([0; 4]);
    align(bytes, element);
    let start = bytes.len();
    fill(bytes);
    let length = (bytes.len() - start) as u32;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    let mut put = |size: usize, raw: &[u8]| {
        align(bytes, size);
        bytes.extend(raw);
    };
    match value {
        Value::Bool(value) => put(4, &u32::from(*value).to_le_bytes()),
        Value::Byte(value) => put(1, &[*value]),
        Value::I16(value) => put(2, &value.to_le_bytes()),
        Value::U16(value) => put(2, &value.to_le_bytes()),
        Value::I32(value) => put(4, &value.to_le_bytes()),
        Value::U32(value) => put(4, &value.to_le_bytes()),
        Value::I64(value) => put(8, &value.to_le_bytes()),
        Value::U64(value) => put(8, &value.to_le_bytes()),
        Value::Double(value) => put(8, &value.to_le_bytes()),
        Value::Text(text) => put_text(bytes, text),
        Value::Bytes(values) => put_array(bytes, 1, |bytes| bytes.extend(values)),
        Value::Words(values) => {
            put_array(bytes, 4, |bytes| values.iter().for_each(|each| bytes.extend(each.to_le_bytes())));
        }
        Value::Texts(values) => put_array(bytes, 4, |bytes| values.iter().for_each(|each| put_text(bytes, each))),
        Value::Pairs(values) => put_array(bytes, 8, |bytes| {
            for (first, second) in values {
                align(bytes, 8);
                put_text(bytes, first);
                put_text(bytes, second);
            }
        }),
    }
}

const CALL: u8 = 1;
const REPLY: u8 = 2;
const FAILURE: u8 = 3;
const SIGNAL: u8 = 4;

/// A message that arrived.
#[derive(Debug, Default)]
pub(super) struct Message {
    kind: u8,
    reply_to: u32,
    member: String,
    error: String,
    signature: String,
    body: Vec<u8>,
}

impl Message {
    /// The strings and paths of the body, which may also hold integers of four bytes.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut found = Vec::new();
        for letter in self.signature.chars() {
            match letter {
                's' | 'o' => match reader.text() {
                    Some(text) => found.push(text),
                    None => break,
                },
                'u' | 'i' | 'b' if reader.word().is_some() => {}
                'v' => match reader.signature().as_deref() {
                    Some("s" | "o") => found.extend(reader.text()),
                    _ => break,
                },
                _ => break,
            }
        }
        found
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, boundary: usize) {
        self.at = self.at.next_multiple_of(boundary);
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let found = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(found)
    }

    fn word(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.word()? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(*self.take(1)?.first()?);
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Some(text)
    }
}

/// A failure that the other side reports, by its D-Bus name.
pub(super) struct Refusal {
    pub(super) name: String,
    pub(super) message: String,
}

/// What a call gives: a reply, or a refusal.
pub(super) type Answer = io::Result<Result<Message, Refusal>>;

/// A connection to a bus, or to systemd itself.
pub(super) struct Connection {
    stream: UnixStream,
    serial: u32,
    /// Signals that came while a reply was awaited.
    signals: Vec<Message>,
}

impl Connection {
    /// Connect and authenticate; on a bus, say hello.
    pub(super) fn open(path: &Path, bus: bool) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream, serial: 0, signals: Vec::new() };
        connection.authenticate()?;
        if bus {
            let hello = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello");
            connection
                .call(hello, Body::default())?
                .map_err(|refusal| Error::other(format!("{}: {}", refusal.name, refusal.message)))?;
        }
        Ok(connection)
    }

    fn authenticate(&mut self) -> io::Result<()> {
        let uid = sys::process::effective_uid().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            let text = String::from_utf8_lossy(&line).trim().to_string();
            return Err(Error::new(ErrorKind::PermissionDenied, format!("D-Bus refused us: {text}")));
        }
        self.stream.write_all(b"BEGIN\r\n")
    }

    /// Call a method: destination, object, interface, member.
    pub(super) fn call(
        &mut self,
        (destination, path, interface, member): (&str, &str, &str, &str),
        body: Body,
    ) -> Answer {
        self.serial += 1;
        let serial = self.serial;
        let mut fields = Vec::new();
        put_array(&mut fields, 8, |bytes| {
            for (code, kind, text) in [
                (1, "o", path),
                (2, "s", interface),
                (3, "s", member),
                (6, "s", destination),
                (8, "g", &body.signature),
            ] {
                if text.is_empty() {
                    continue;
                }
                align(bytes, 8);
                bytes.push(code);
                put_signature(bytes, kind);
                if kind == "g" {
                    put_signature(bytes, text);
                } else {
                    // The fields begin at byte 16 of the message; alignment within them is the same.
                    put_text(bytes, text);
                }
            }
        });
        let mut message = vec![b'l', CALL, 0, 1];
        message.extend((body.bytes.len() as u32).to_le_bytes());
        message.extend(serial.to_le_bytes());
        // The array's length stands at byte 12, and its first element at 16 without padding.
        message.extend(&fields[..4]);
        message.extend(&fields[8..]);
        align(&mut message, 8);
        message.extend(body.bytes);
        self.stream.write_all(&message)?;
        loop {
            let found = self.receive()?;
            match found.kind {
                REPLY if found.reply_to == serial => return Ok(Ok(found)),
                FAILURE if found.reply_to == serial => {
                    let message = found.texts().into_iter().next().unwrap_or_default();
                    return Ok(Err(Refusal { name: found.error, message }));
                }
                SIGNAL => self.signals.push(found),
                _ => {}
            }
        }
    }

    /// The next signal of that name, also one that came before.
    pub(super) fn signal(&mut self, member: &str) -> io::Result<Message> {
        loop {
            let found = if self.signals.is_empty() { self.receive()? } else { self.signals.remove(0) };
            if found.kind == SIGNAL && found.member == member {
                return Ok(found);
            }
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let bad = |what: &str| Error::new(ErrorKind::InvalidData, format!("D-Bus: {what}"));
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        if head[0] != b'l' {
            return Err(bad("a message that is not little endian"));
        }
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (length, fields) = (word(4), word(12));
        if length > LONGEST || fields > LONGEST {
            return Err(bad("a message that is too long"));
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + length];
        self.stream.read_exact(&mut rest)?;
        let mut message =
            Message { kind: head[1], body: rest.split_off(fields.next_multiple_of(8)), ..Message::default() };
        let mut reader = Reader { bytes: &rest[..fields], at: 0 };
        while reader.at < fields {
            reader.align(8);
            let Some(code) = reader.take(1).map(|byte| byte[0]) else { break };
            let kind = reader.signature().ok_or_else(|| bad("a field without a type"))?;
            match kind.as_str() {
                "u" => {
                    let number = reader.word().ok_or_else(|| bad("a short field"))?;
                    if code == 5 {
                        message.reply_to = number;
                    }
                }
                "s" | "o" | "g" => {
                    let text = if kind == "g" { reader.signature() } else { reader.text() };
                    let text = text.ok_or_else(|| bad("a short field"))?;
                    match code {
                        3 => message.member = text,
                        4 => message.error = text,
                        8 => message.signature = text,
                        _ => {}
                    }
                }
                _ => return Err(bad("a field of an unknown type")),
            }
        }
        Ok(message)
    }
}

/// The path of a D-Bus address such as `unix:path=/run/bus,guid=1`.
pub(super) fn path_of(address: &str) -> Option<PathBuf> {
    address.split(';').find_map(|each| {
        let keys = each.strip_prefix("unix:")?;
        keys.split(',').find_map(|key| key.strip_prefix("path=")).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::{path_of, put_array, put_text, Body, Message, Value};
    use std::path::PathBuf;

    #[test]
    fn arrays_are_aligned_and_count_their_elements_alone() {
        let mut bytes = vec![1];
        put_array(&mut bytes, 8, |bytes| put_text(bytes, "ab"));
        assert_eq!(bytes, [1, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0]);
    }

    #[test]
    fn properties_are_structures_with_variants() {
        let body = Body::default().properties(&[("A".into(), Value::U64(1))]);
        assert_eq!(body.signature, "a(sv)");
        let expected = [
            16, 0, 0, 0, 0, 0, 0, 0, // length, padding
            1, 0, 0, 0, b'A', 0, 1, b't', // name, signature ...
            0, 0, 0, 0, 0, 0, 0, 0, // ... its end, padding
            1, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(body.bytes[4..], expected[4..]);
        assert_eq!(body.bytes[0], 24);
    }

    #[test]
    fn strings_of_a_body_are_read_across_numbers() {
        let mut body = 7_u32.to_le_bytes().to_vec();
        put_text(&mut body, "/job/7");
        put_text(&mut body, "box.scope");
        put_text(&mut body, "done");
        let message = Message { signature: "uoss".into(), body, ..Message::default() };
        assert_eq!(message.texts(), ["/job/7", "box.scope", "done"]);
    }

    #[test]
    fn addresses_may_have_other_keys() {
        assert_eq!(path_of("unix:path=/run/bus,guid=1"), Some(PathBuf::from("/run/bus")));
        assert_eq!(path_of("tcp:host=x"), None);
    }
}
