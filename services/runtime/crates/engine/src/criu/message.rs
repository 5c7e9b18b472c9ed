//! Protocol buffers, as far as CRIU's RPC needs them: numbers, strings, and messages in messages.

/// A message being written. Fields are named by their numbers in CRIU's `rpc.proto`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// The value of a field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number, a truth value or a word of an enumeration.
    Number(u64),
    /// A string or a message.
    Bytes(&'a [u8]),
}

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    pub(crate) fn number(&mut self, field: u32, value: impl Into<i64>) -> &mut Self {
        self.varint(u64::from(field) << 3 | VARINT);
        // Negative ones take ten bytes, as the protocol has it.
        self.varint(value.into() as u64);
        self
    }

    pub(crate) fn flag(&mut self, field: u32, value: bool) -> &mut Self {
        self.number(field, i64::from(value))
    }

    pub(crate) fn text(&mut self, field: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.varint(u64::from(field) << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    pub(crate) fn part(&mut self, field: u32, value: &Self) -> &mut Self {
        self.text(field, &value.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The fields of a message in their order; None if it is none.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut bytes)?),
            LENGTH => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            // Numbers of a fixed width, which no message of CRIU's has.
            _ => return None,
        };
        found.push((u32::try_from(key >> 3).ok()?, value));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The number in a field; 0 if it is not there, as the protocol has it.
pub(crate) fn number_of(fields: &[(u32, Value<'_>)], field: u32) -> u64 {
    let last = fields.iter().rev().find(|(each, _)| *each == field);
    last.map_or(0, |(_, value)| if let Value::Number(number) = value { *number } else { 0 })
}

/// The bytes of a field; empty if it is not there.
pub(crate) fn bytes_of<'a>(fields: &[(u32, Value<'a>)], field: u32) -> &'a [u8] {
    let last = fields.iter().rev().find(|(each, _)| *each == field);
    last.map_or(&[], |(_, value)| if let Value::Bytes(bytes) = value { bytes } else { &[] })
}

#[cfg(test)]
mod tests {
    use super::{bytes_of, fields, number_of, Message};

    #[test]
    fn what_is_written_is_read() {
        let mut part = Message::default();
        part.text(1, "post-dump").number(2, 300);
        let mut whole = Message::default();
        whole.number(1, 6).flag(2, true).part(5, &part).number(7, -1).text(51, "");
        let Some(found) = fields(whole.bytes()) else { unreachable!() };
        assert_eq!((number_of(&found, 1), number_of(&found, 2), number_of(&found, 3)), (6, 1, 0));
        assert_eq!(number_of(&found, 7) as i64, -1);
        let Some(inner) = fields(bytes_of(&found, 5)) else { unreachable!() };
        assert_eq!((bytes_of(&inner, 1), number_of(&inner, 2)), (&b"post-dump"[..], 300));
        assert_eq!(whole.bytes()[..4], [0x08, 6, 0x10, 1]);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_none() {
        for bad in [&[0x08][..], &[0x0a, 5, 1], &[0x09, 0, 0, 0, 0, 0, 0, 0, 0], &[0x08, 0x80], &[0xff; 12]] {
            assert_eq!(fields(bad), None, "{bad:?}");
        }
    }
}
