//! From text to a configuration: the layers, the sections, and what holds between sections.

use std::path::Path;

use super::error::Wrong;
use super::report::Report;
use super::section::Section;
use super::source::{self, Surroundings};
use super::{
    Audit, Compute, Config, DeadLetter, Delivery, Detect, Error, Errors, Feedback, Field, Http,
    Input, Kafka, Key, Line, Log, Model, Output, Retrain, Train,
};

/// Reads the configuration file at `path`, with the environment over it. Relative paths in it start
/// from its folder. The secrets it refers to are read too.
///
/// # Errors
///
/// Everything that is wrong with it, at once; only a file that cannot be read or is not TOML hides
/// the rest.
pub fn load(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Errors> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let remedy = match missing {
            true => "let `outlierd init` write one, or name another file",
            false => "make it a text file that this user may read",
        };
        Errors(vec![Error {
            path: name.clone(),
            value: None,
            problem: format!("cannot be read: {error}"),
            remedy: remedy.to_owned(),
        }])
    })?;
    let surroundings = Surroundings {
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        environment: environment.collect(),
    };
    read(&text, &name, &surroundings)
}

impl Config {
    /// Reads a configuration from text, as [`load`] does; relative paths in it stay relative.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, at once.
    pub fn parse(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Errors> {
        let surroundings = Surroundings {
            environment: environment.into_iter().collect(),
            ..Surroundings::default()
        };
        read(text, "configuration", &surroundings)
    }

    /// Every key there is, in the order in which they are read.
    pub fn keys() -> Vec<Key> {
        let mut report = Report::default();
        let one_field = [(
            "fields".to_owned(),
            vec![::config::Map::<String, String>::new()],
        )];
        let tree = ::config::Map::from(one_field).into();
        read_sections(tree, &Surroundings::default(), &mut report);
        report.keys
    }
}

fn read(text: &str, name: &str, surroundings: &Surroundings) -> Result<Config, Errors> {
    let mut report = Report::default();
    let config = source::merge(text, name, surroundings, &mut report.errors)
        .and_then(|tree| read_sections(tree, surroundings, &mut report));
    let errors = report.into_errors();
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(Errors(errors)),
    }
}

fn read_sections(
    tree: ::config::Value,
    surroundings: &Surroundings,
    report: &mut Report,
) -> Option<Config> {
    let mut root = Section::new(String::new(), Some(tree), report);
    let kafka = Kafka::read(root.section("kafka"), surroundings);
    let input = Input::read(root.section("input"));
    let fields = Field::read_all(&mut root);
    let input_topic = input.as_ref().map(|input| input.topic.as_str());
    let output = Output::read(root.section("output"), input_topic, surroundings);
    let dead_letter = DeadLetter::read(root.section("dead_letter"), input_topic);
    let audit = Audit::read(root.section("audit"));
    let feedback = Feedback::read(root.section("feedback"));
    let delivery = Delivery::read(root.section("delivery"));
    let model = Model::read(root.section("model"), surroundings);
    let train = Train::read(root.section("train"));
    let retrain = Retrain::read(root.section("retrain"), surroundings);
    let detect = Detect::read(root.section("detect"));
    let line = Line::read(root.section("line"));
    let compute = Compute::read(root.section("compute"));
    let http = Http::read(root.section("http"), surroundings);
    let log = Log::read(root.section("log"));
    let topics = [
        ("input.topic", input_topic),
        (
            "output.topic",
            output.as_ref().map(|output| output.topic.as_str()),
        ),
        (
            "dead_letter.topic",
            dead_letter.as_ref().map(|letter| letter.topic.as_str()),
        ),
        (
            "audit.topic",
            audit.as_ref().and_then(|audit| audit.topic.as_deref()),
        ),
        (
            "feedback.topic",
            feedback.as_ref().and_then(|it| it.topic.as_deref()),
        ),
    ];
    refuse_shared_topics(&mut root, topics);
    refuse_records_beyond_batches(&mut root, input.as_ref(), line.as_ref());
    refuse_late_commits(&mut root, kafka.as_ref(), delivery.as_ref(), line.as_ref());
    root.finish();
    Some(Config {
        kafka: kafka?,
        input: input?,
        fields: fields?,
        output: output?,
        dead_letter: dead_letter?,
        audit: audit?,
        feedback: feedback?,
        delivery: delivery?,
        model: model?,
        train: train?,
        retrain: retrain?,
        detect: detect?,
        line: line?,
        compute: compute?,
        http: http?,
        log: log?,
    })
}

/// A topic that is read and written would feed the daemon its own output.
fn refuse_shared_topics(root: &mut Section<'_>, topics: [(&str, Option<&str>); 5]) {
    for (index, (key, topic)) in topics.into_iter().enumerate() {
        let Some(topic) = topic else { continue };
        let above = topics.iter().take(index);
        if let Some((other, _)) = above.into_iter().find(|(_, other)| *other == Some(topic)) {
            let problem = format!("is the topic of `{other}` too");
            let wrong = Wrong::new(problem, "choose another topic for one of them");
            root.refuse(key, Some(format!("{topic:?}")), wrong);
        }
    }
}

/// A transaction is open for as long as `line.commit_interval`, and must be over well before the cluster ends it.
fn refuse_late_commits(
    root: &mut Section<'_>,
    kafka: Option<&Kafka>,
    delivery: Option<&Delivery>,
    line: Option<&Line>,
) {
    let (Some(kafka), Some(Delivery::ExactlyOnce { .. }), Some(line)) = (kafka, delivery, line)
    else {
        return;
    };
    let limit = kafka.transaction_timeout();
    if line.commit_interval > limit / 10 {
        let problem =
            format!("is more than a tenth of the {limit:?} that a transaction may be open");
        let remedy = "lower it, or raise \"transaction.timeout.ms\" in [kafka.properties]";
        let value = Some(format!("{:?}", line.commit_interval));
        root.refuse("line.commit_interval", value, Wrong::new(problem, remedy));
    }
}

/// The memory of the line is bounded by its batches, so a batch must hold any record.
fn refuse_records_beyond_batches(
    root: &mut Section<'_>,
    input: Option<&Input>,
    line: Option<&Line>,
) {
    let (Some(input), Some(line)) = (input, line) else {
        return;
    };
    if line.batch_bytes < input.max_record_bytes {
        let wrong = Wrong::new(
            "is less than `input.max_record_bytes`: one record would not fit into a batch",
            "raise it, or lower `input.max_record_bytes`",
        );
        root.refuse(
            "line.batch_bytes",
            Some(line.batch_bytes.to_string()),
            wrong,
        );
    }
}
