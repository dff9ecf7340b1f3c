//! A record as dotted paths and their values.

use serde_json::Value;

use crate::record::join_path;

/// Everything in a record that is no object, with its path. Arrays stay whole. Left out is what a
/// configuration cannot name: empty keys and keys with control characters.
pub(super) fn leaves(record: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect(record, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, keys: &mut Vec<&'a str>, found: &mut Vec<(String, &'a Value)>) {
    let Value::Object(members) = value else {
        let path = join_path(keys);
        if path.len() <= 256 && path.trim() == path {
            found.push((path, value));
        }
        return;
    };
    for (key, value) in members {
        if !key.is_empty() && !key.chars().any(char::is_control) {
            keys.push(key);
            collect(value, keys, found);
            keys.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_objects_become_dotted_paths() {
        let record =
            json!({"a": 1, "b": {"c": null, "d.e": [1, {"x": 2}]}, "": 1, "n\n": 1, "o": {}});
        let mut paths: Vec<String> = leaves(&record).into_iter().map(|(path, _)| path).collect();
        paths.sort();
        assert_eq!(paths, ["a", "b.c", "b.d\\.e"]);
    }
}
