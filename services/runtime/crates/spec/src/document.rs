//! Reading documents: a failure names the field.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Read a JSON document. A field that is `null` counts as absent, because Go's encoder writes empty lists so.
///
/// # Errors
/// A sentence with the path of the field (`process.user.uid: invalid type: ...`).
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if let Ok(found) = serde_json::from_slice(bytes) {
        return Ok(found);
    }
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    drop_nulls(&mut value);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if path == "." {
            cause.to_string()
        } else {
            format!("{path}: {cause}")
        }
    })
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, each| !each.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::Spec;

    #[test]
    fn null_counts_as_absent() {
        let text = br#"{"ociVersion":"1.0.0","mounts":null,"process":{"args":null,"terminal":null,"cwd":"/"}}"#;
        let Ok(found) = read::<Spec>(text) else { unreachable!() };
        assert!(found.mounts.is_empty() && found.process.is_some_and(|process| process.args.is_empty()));
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        let text = br#"{"process":{"user":{"uid":"root"}}}"#;
        let message = read::<Spec>(text).err().unwrap_or_default();
        assert!(message.starts_with("process.user.uid: invalid type: string"), "{message}");
        let text = br#"{"linux":{"namespaces":[{"type":"mount"},{"type":"odd"}]}}"#;
        let message = read::<Spec>(text).err().unwrap_or_default();
        assert!(message.starts_with("linux.namespaces[1].type: unknown variant"), "{message}");
    }
}
