//! Damage: of the structure, so that it gets past the parser, and of the bytes.

use serde_json::{Map, Number, Value};

/// A small deterministic generator (xorshift64*): the same seed gives the same documents.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 up to, and without, `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A damaged copy.
pub(crate) fn damage(document: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = match serde_json::from_slice::<Value>(document) {
        Ok(mut value) => {
            for _ in 0..1 + random.below(3) {
                let count = count(&value);
                let mut at = random.below(count);
                change(&mut value, &mut at, random);
            }
            value.to_string().into_bytes()
        }
        Err(_) => document.to_vec(),
    };
    if random.below(5) == 0 {
        for _ in 0..1 + random.below(3) {
            scratch(&mut bytes, random);
        }
    }
    bytes
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Change the value that is the `at`th in depth-first order.
fn change(value: &mut Value, at: &mut usize, random: &mut Random) -> bool {
    if *at == 0 {
        replace(value, random);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|each| change(each, at, random)),
        Value::Object(fields) => fields.values_mut().any(|each| change(each, at, random)),
        _ => false,
    }
}

fn replace(value: &mut Value, random: &mut Random) {
    match (value, random.below(4)) {
        (Value::Array(items), 0 | 1) if !items.is_empty() => {
            let chosen = random.below(items.len());
            if random.below(2) == 0 {
                items.remove(chosen);
            } else {
                let copy = items[chosen].clone();
                let copies = [1, 2, 300][random.below(3)];
                items.extend(std::iter::repeat_n(copy, copies));
            }
        }
        (Value::Object(fields), 0 | 1) if !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = &names[random.below(names.len())];
            let taken = fields.remove(name);
            if random.below(2) == 0 {
                fields.insert(text(random), taken.unwrap_or_default());
            }
        }
        // Mostly another value of the same type, which gets past the parser.
        (Value::String(inner), 0..=2) => *inner = text(random),
        (Value::Number(inner), 0..=2) => *inner = NUMBERS[random.below(NUMBERS.len())].into(),
        (Value::Bool(inner), 0..=2) => *inner = !*inner,
        (value, _) => *value = odd(random, 0),
    }
}

const NUMBERS: [i64; 14] =
    [0, 1, -1, 2, 7, 64, 255, 4096, 65_536, 2_147_483_647, 2_147_483_648, 4_294_967_295, i64::MIN, i64::MAX];

fn odd(random: &mut Random, depth: u32) -> Value {
    match random.below(if depth > 3 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::from(NUMBERS[random.below(NUMBERS.len())]),
        3 => Number::from_f64([0.5, -0.0, 1e300, 1.5e19][random.below(4)]).map_or(Value::Null, Value::Number),
        4 => Value::String(text(random)),
        5 => Value::Array((0..random.below(4)).map(|_| odd(random, depth + 1)).collect()),
        6 => Value::Object((0..random.below(4)).map(|_| (text(random), odd(random, depth + 1))).collect::<Map<_, _>>()),
        _ => {
            let mut nested = Value::Array(Vec::new());
            for _ in 0..random.below(300) {
                nested = Value::Array(vec![nested]);
            }
            nested
        }
    }
}

fn text(random: &mut Random) -> String {
    const TEXTS: [&str; 22] = [
        "",
        " ",
        "/",
        "..",
        "../../../etc",
        "/proc/self/fd/3",
        "a\0b",
        "\n",
        "é",
        "\u{1F980}",
        "=",
        ":",
        ",",
        "*",
        "-1",
        "0-18446744073709551615",
        "18446744073709551616",
        "SCMP_ACT_ALLOW",
        "CAP_",
        "RLIMIT_",
        "1.2.0",
        "0x7fffffffffffffff",
    ];
    match random.below(10) {
        0 => "A".repeat(70_000),
        1 => "/a".repeat(5000),
        _ => TEXTS[random.below(TEXTS.len())].to_string(),
    }
}

fn scratch(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, random.below(256) as u8),
    }
}
