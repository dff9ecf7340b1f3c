#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;

use super::*;

fn rows_of(name: &str, bytes: &[u8]) -> Result<Vec<String>, FileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut rows = open(&path)?;
    let mut row = b"left over".to_vec();
    let mut all = Vec::new();
    while rows.next(&mut row)? {
        all.push(String::from_utf8(row.clone()).unwrap());
    }
    assert!(!rows.next(&mut row)?);
    Ok(all)
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const CSV: &str =
    "t,v,\"a \"\"b\"\"\",on\n2024-01-02,1.5,\"x\ny\",true\n,1e3,007,\nnan,NaN,nano,x\n";

#[test]
fn csv_cells_become_json_values() {
    assert_eq!(
        rows_of("a.csv", CSV.as_bytes()).unwrap(),
        [
            r#"{"t":"2024-01-02","v":1.5,"a \"b\"":"x\ny","on":true}"#,
            r#"{"t":null,"v":1e3,"a \"b\"":"007","on":null}"#,
            r#"{"t":null,"v":null,"a \"b\"":"nano","on":"x"}"#,
        ]
    );
}

#[test]
fn a_first_row_of_numbers_is_no_header() {
    let rows = rows_of("a.csv", b"1,2\nx, 4\n").unwrap();
    assert_eq!(rows, [r#"{"f0":1,"f1":2}"#, r#"{"f0":"x","f1":4}"#]);
}

#[test]
fn lines_of_ndjson_come_as_they_stand() {
    let text = "\n{\"a\": 1}\r\n\n  {broken\n{\"b\":2}";
    for name in ["a.ndjson", "a.jsonl", "A.JSON"] {
        let rows = rows_of(name, text.as_bytes()).unwrap();
        assert_eq!(rows, ["{\"a\": 1}", "  {broken", "{\"b\":2}"]);
    }
}

#[test]
fn the_text_tells_the_format_where_the_name_does_not() {
    assert_eq!(rows_of("a", b" {\"a\":1}\n").unwrap(), [" {\"a\":1}"]);
    assert_eq!(
        rows_of("a.txt", b"\xEF\xBB\xBFa\n1\n").unwrap(),
        ["{\"a\":1}"]
    );
    assert!(rows_of("a.csv", b"").unwrap().is_empty());
    assert!(rows_of("a", b"").unwrap().is_empty());
}

#[test]
fn gzipped_files_are_unpacked() {
    let mut members = zipped("{\"a\":1}\n");
    members.extend(zipped("{\"a\":2}\n"));
    for name in ["a.ndjson.gz", "a.jsonl", "a"] {
        assert_eq!(rows_of(name, &members).unwrap().len(), 2);
    }
    assert_eq!(rows_of("a.csv.gz", &zipped(CSV)).unwrap().len(), 3);
}

#[test]
fn errors_name_the_file_and_the_line() {
    let message = |name: &str, bytes: &[u8]| rows_of(name, bytes).unwrap_err().to_string();
    let ragged = message("a.csv", b"a,b\n1,2\n\"x\ny\",2\n1,2,3\n");
    assert!(
        ragged.ends_with("a.csv at line 5: the row has 3 cells where the first has 2"),
        "{ragged}"
    );
    let bytes = message("a.csv", b"a,b\n1,\xFF\n");
    assert!(
        bytes.ends_with("a.csv at line 2: column 2 is not UTF-8"),
        "{bytes}"
    );
    let twice = message("a.csv", b"a,b,a\n");
    assert!(twice.contains("names column `a` twice"), "{twice}");
    let mut cut = zipped(&"{\"a\":1}\n".repeat(9));
    cut.truncate(cut.len() - 4);
    let cut = message("a.ndjson.gz", &cut);
    assert!(cut.contains("a.ndjson.gz"), "{cut}");
    let absent = open(Path::new("/nowhere/a.csv")).err().unwrap().to_string();
    assert!(
        absent.starts_with("cannot read /nowhere/a.csv: "),
        "{absent}"
    );
}
