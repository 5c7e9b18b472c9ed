//! Values of `org.systemd.property.*` annotations, in GVariant's text form.

use super::dbus::Value;

/// Read one value: a string, a Boolean, a number with or without its type, or a list of strings.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return list(inner).map(Value::Texts);
    }
    if let Some(inner) = quoted(text) {
        return Some(Value::Text(inner));
    }
    match text.split_once(' ') {
        None => text.parse().map(Value::I32).ok().or_else(|| text.parse().map(Value::Double).ok()),
        Some((kind, number)) => {
            let number = number.trim();
            match kind {
                "byte" => number.parse().map(Value::Byte).ok(),
                "int16" => number.parse().map(Value::I16).ok(),
                "uint16" => number.parse().map(Value::U16).ok(),
                "int32" => number.parse().map(Value::I32).ok(),
                "uint32" => number.parse().map(Value::U32).ok(),
                "int64" => number.parse().map(Value::I64).ok(),
                "uint64" => number.parse().map(Value::U64).ok(),
                "double" => number.parse().map(Value::Double).ok(),
                _ => None,
            }
        }
    }
}

fn list(inner: &str) -> Option<Vec<String>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    inner.split(',').map(|each| quoted(each.trim())).collect()
}

fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut found = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => found.push(letters.next()?),
            letter if letter == quote => return None,
            letter => found.push(letter),
        }
    }
    Some(found)
}

/// The number of a value in microseconds, for a property that is given in seconds.
pub(super) fn microseconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::Byte(value) => f64::from(*value),
        Value::I16(value) => f64::from(*value),
        Value::U16(value) => f64::from(*value),
        Value::I32(value) => f64::from(*value),
        Value::U32(value) => f64::from(*value),
        Value::I64(value) => *value as f64,
        Value::U64(value) => *value as f64,
        Value::Double(value) => *value,
        _ => return None,
    };
    (seconds >= 0.0).then_some((seconds * 1e6) as u64)
}

#[cfg(test)]
mod tests {
    use super::{microseconds, parse, Value};

    #[test]
    fn values_of_every_kind_are_read() {
        for (text, expected) in [
            ("'a b'", Value::Text("a b".into())),
            ("\"it's\"", Value::Text("it's".into())),
            ("true", Value::Bool(true)),
            ("-3", Value::I32(-3)),
            ("uint64 12345", Value::U64(12345)),
            ("1.5", Value::Double(1.5)),
            ("['a', 'b']", Value::Texts(vec!["a".into(), "b".into()])),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in ["", "word", "uint64 x", "'a", "[1]", "odd 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(microseconds(&Value::Double(1.5)), Some(1_500_000));
    }
}
