//! A folder with a configuration, for one or several runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::records::FIELDS;
use super::scores::model;

/// Input topic, group and output topics that a setup has unless it is told otherwise.
pub const INPUT: &str = "readings";
pub const GROUP: &str = "line";
pub const OUTLIERS: &str = "readings.outliers";
pub const DEAD_LETTERS: &str = "readings.dead-letters";

/// The topics of a setup, with `partitions` of the input.
pub fn topics(partitions: i32) -> [(&'static str, i32); 3] {
    [(INPUT, partitions), (OUTLIERS, 2), (DEAD_LETTERS, 2)]
}

/// A configuration file in a folder of its own.
pub struct Setup {
    folder: TempDir,
    /// Values as TOML by section and key.
    values: BTreeMap<(String, String), String>,
    fields: String,
    pub environment: Vec<(String, String)>,
}

impl Setup {
    /// For the broker at `address`: small times, the shared model, the topics above.
    pub fn new(address: &str) -> Setup {
        let mut setup = Setup {
            folder: tempfile::tempdir().unwrap(),
            values: BTreeMap::new(),
            fields: FIELDS.to_owned(),
            environment: Vec::new(),
        };
        let model = model();
        for (section, key, value) in [
            ("kafka", "brokers", format!("{address:?}")),
            ("kafka.properties", "group.protocol", "\"consumer\"".into()),
            ("kafka.properties", "fetch.wait.max.ms", "\"10\"".into()),
            ("input", "topic", format!("{INPUT:?}")),
            ("input", "group", format!("{GROUP:?}")),
            ("input", "start", "\"earliest\"".into()),
            (
                "model",
                "path",
                format!("{:?}", model.display().to_string()),
            ),
            ("train", "hidden", "16".into()),
            ("train", "latent", "3".into()),
            ("train", "max_steps", "200".into()),
            ("detect", "budget", "\"1%\"".into()),
            ("line", "commit_interval", "\"20ms\"".into()),
            ("http", "bind", "\"127.0.0.1:0\"".into()),
        ] {
            setup = setup.set(section, key, &value);
        }
        setup
    }

    /// Sets `key` of `section` to `value`, which is TOML; an empty one takes the key away.
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Setup {
        self.values
            .insert((section.to_owned(), key.to_owned()), value.to_owned());
        self
    }

    /// Its model is the one that serves in a store, the folder `models`, and is made in a moment.
    pub fn with_store(self) -> Setup {
        self.set("model", "path", "")
            .set("model", "store", "\"models\"")
            .set("train", "floors", "[0.5]")
    }

    /// Whoever sends `let-me` may have models trained and changed.
    pub fn with_token(self) -> Setup {
        self.set("http", "token", "{ env = \"OUTLIERD_TEST_TOKEN\" }")
            .environment("OUTLIERD_TEST_TOKEN", "let-me")
    }

    pub fn fields(mut self, fields: &str) -> Setup {
        self.fields = fields.to_owned();
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration anew and says where.
    pub fn write(&self) -> PathBuf {
        let mut text = String::new();
        let mut open = "";
        let values = self.values.iter().filter(|(_, value)| !value.is_empty());
        for ((section, key), value) in values {
            if section != open {
                text += &format!("[{section}]\n");
                open = section;
            }
            text += &format!("{key:?} = {value}\n");
        }
        text += &self.fields;
        let path = self.path("outlierd.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes `lines` into a file of the folder.
    pub fn write_lines(&self, name: &str, lines: &[String]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    }
}
