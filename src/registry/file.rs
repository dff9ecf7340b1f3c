//! Reading and writing one model file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::manifest::{FORMAT, Manifest};
use super::whole;
use crate::detect::{Calibration, Detector, Fitted, Golden, Linear, Model, Policy, hex};
use crate::vae::{Member, Mixture};

/// The key of the manifest in the safetensors header.
const KEY: &str = "outlierd";

/// A header larger than this is refused before it is parsed. Ours are some tens of KiB.
const MAX_HEADER: u64 = 8 << 20;

/// A file larger than this is refused before it is read.
pub(super) const MAX_FILE: u64 = 2 << 30;

/// A golden row's score may differ by this much, relative to its size and at least absolutely:
/// another processor rounds differently.
const GOLDEN_TOLERANCE: f32 = 1e-3;

/// Why a model file cannot be used. Each says which file, what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("there is no model at {path}: make one with `outlierd train`", path = .0.display())]
    Missing(PathBuf),
    #[error("model {path}: {source}", path = path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("model {place}: {source}")]
    Remote {
        place: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("model {path} is corrupt: {what}; restore it from a copy or train again", path = path.display())]
    Corrupt { path: PathBuf, what: String },
    #[error(
        "model {path} has format {found}, and this outlierd reads up to {FORMAT}: use a newer \
         outlierd or train again", path = path.display()
    )]
    Newer { path: PathBuf, found: u32 },
    #[error(
        "model {path} has format {found}, and this outlierd reads format {FORMAT}: train again",
        path = path.display()
    )]
    Older { path: PathBuf, found: u32 },
}

impl ModelError {
    pub(super) fn remote(
        place: &str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> ModelError {
        ModelError::Remote {
            place: place.to_owned(),
            source: Box::new(source),
        }
    }
}

/// A model with what its file says of it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub model: Arc<Model>,
    /// The first digits of the hash of the whole file: names exactly these bytes.
    pub version: String,
    pub manifest: Manifest,
    pub bytes: u64,
}

/// Writes `model` beside `path`, syncs it and renames it: `path` holds the old file or the whole
/// new one, whatever happens.
///
/// # Errors
/// When the file cannot be written.
pub fn save(model: &Model, path: &Path) -> Result<Stored, ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = to_bytes(model, path)?;
    whole::write(path, &bytes).map_err(io)?;
    from_bytes(&bytes, path)
}

/// Reads the model at `path` and checks all of it.
///
/// # Errors
/// When the file is missing, unreadable, corrupt or of a newer format.
pub fn load(path: &Path) -> Result<Stored, ModelError> {
    from_bytes(&read(path)?, path)
}

/// The bytes at `path`, which are not checked.
///
/// # Errors
/// When there is no file, it cannot be read, or it is larger than any model.
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => ModelError::Missing(path.to_owned()),
        _ => ModelError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let size = fs::metadata(path).map_err(io)?.len();
    if size > MAX_FILE {
        return Err(ModelError::Corrupt {
            path: path.to_owned(),
            what: format!("it has {size} bytes, and a model has at most {MAX_FILE}"),
        });
    }
    fs::read(path).map_err(io)
}

/// Tensors by name, as bytes to be viewed.
type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

fn tensors(model: &Model) -> Tensors {
    let mut tensors: Tensors = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, values: &[f32]| {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        tensors.push((name, shape, bytes));
    };
    for (index, fitted) in model.members.iter().enumerate() {
        for (name, shape, values) in fitted.member.tensors() {
            add(format!("member.{index}.{name}"), shape.to_vec(), values);
        }
        let mixture = &fitted.mixture;
        let components = mixture.weights().len();
        let cells = vec![components, mixture.latent()];
        for (name, shape, values) in [
            ("weights", vec![components], mixture.weights()),
            ("means", cells.clone(), mixture.means()),
            ("variances", cells, mixture.variances()),
        ] {
            add(format!("member.{index}.mixture.{name}"), shape, values);
        }
    }
    let (means, covariance) = (model.linear.means(), model.linear.covariance());
    add("linear.means".into(), vec![means.len()], means);
    let square = vec![means.len(); 2];
    add("linear.covariance".into(), square, covariance);
    let scores = model.calibration.scores();
    add("calibration.scores".into(), vec![scores.len()], scores);
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn hash<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in tensors {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

/// The bytes of `model`, which are for `path`.
pub(super) fn to_bytes(model: &Model, path: &Path) -> Result<Vec<u8>, ModelError> {
    serialize(model).map_err(|what| ModelError::Corrupt {
        path: path.to_owned(),
        what,
    })
}

fn serialize(model: &Model) -> Result<Vec<u8>, String> {
    let tensors = tensors(model);
    let sha256 = hash(
        tensors
            .iter()
            .map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let manifest =
        serde_json::to_string(&Manifest::of(model, sha256)).map_err(|e| e.to_string())?;
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let metadata = HashMap::from([(KEY.to_owned(), manifest)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// Checks all of the model that `bytes`, of or for `path`, are.
pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Stored, ModelError> {
    let corrupt = |what: String| ModelError::Corrupt {
        path: path.to_owned(),
        what,
    };
    check_header(bytes).map_err(corrupt)?;
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|e| corrupt(format!("its header: {e}")))?;
    let text = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(KEY))
        .ok_or_else(|| {
            corrupt("it has no outlierd manifest: is it another program's file?".into())
        })?;
    let format: serde_json::Value =
        serde_json::from_str(text).map_err(|e| corrupt(format!("its manifest: {e}")))?;
    match format.get("format").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(FORMAT) => {
            let (path, found) = (path.to_owned(), u32::try_from(found).unwrap_or(u32::MAX));
            return Err(if found > FORMAT {
                ModelError::Newer { path, found }
            } else {
                ModelError::Older { path, found }
            });
        }
        _ => {}
    }
    let manifest: Manifest =
        serde_json::from_str(text).map_err(|e| corrupt(format!("its manifest: {e}")))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| corrupt(e.to_string()))?;
    let model = assemble(&manifest, &tensors).map_err(corrupt)?;
    check_golden_rows(&model, &manifest.golden).map_err(corrupt)?;
    Ok(Stored {
        version: hex(&Sha256::digest(bytes)[..6]),
        bytes: bytes.len() as u64,
        model: Arc::new(model),
        manifest,
    })
}

/// The length of the header stands in its first eight bytes: it is checked before it is believed.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    let Some(length) = bytes.first_chunk::<8>() else {
        return Err(format!("it has only {} bytes", bytes.len()));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(format!(
            "its header claims {length} bytes, and {MAX_HEADER} is the limit"
        ));
    }
    if length + 8 > bytes.len() as u64 {
        return Err("it ends within its header: it was cut short".into());
    }
    Ok(())
}

fn assemble(manifest: &Manifest, tensors: &SafeTensors<'_>) -> Result<Model, String> {
    let mut named: Vec<(&str, &[u8])> = tensors
        .iter()
        .map(|(name, view)| (name, view.data()))
        .collect();
    named.sort_by_key(|(name, _)| *name);
    if hash(named.into_iter()) != manifest.tensors_sha256 {
        return Err("its tensors do not have the hash that its manifest names".into());
    }
    let read = |name: &str| -> Option<(Vec<usize>, Vec<f32>)> {
        let view = tensors.tensor(name).ok()?;
        (view.dtype() == Dtype::F32).then(|| (view.shape().to_vec(), floats(view.data())))
    };
    if manifest.encoding.heads() != manifest.shape.heads {
        return Err("its fields and its network do not fit together".into());
    }
    let mut members = Vec::with_capacity(manifest.members.len());
    for (index, stated) in manifest.members.iter().enumerate() {
        let member = Member::from_tensors(&manifest.shape, stated.floor, |name| {
            read(&format!("member.{index}.{name}"))
        })
        .map_err(|e| e.to_string())?;
        if !(stated.nll.is_sound() && stated.code_nll.is_sound()) {
            return Err("its standardisation is not finite".into());
        }
        let part = |name: &str| Some(read(&format!("member.{index}.mixture.{name}"))?.1);
        let mixture = part("weights").zip(part("means")).zip(part("variances"));
        let mixture = mixture
            .and_then(|((weights, means), variances)| {
                Mixture::from_parts(manifest.shape.latent, weights, means, variances)
            })
            .ok_or("the density of its codes is missing or not one")?;
        members.push(Fitted {
            member,
            mixture,
            nll: stated.nll,
            code_nll: stated.code_nll,
        });
    }
    if members.is_empty() {
        return Err("it has no network".into());
    }
    if !manifest.profile.is_sound(manifest.encoding.fields.len()) {
        return Err("its histograms are none of its fields".into());
    }
    let linear = read("linear.means").zip(read("linear.covariance"));
    let linear = linear
        .and_then(|((_, means), (_, covariance))| {
            Linear::from_parts(&manifest.shape, means, covariance)
        })
        .ok_or("its linear model is missing or not a finite covariance")?;
    let (_, scores) = read("calibration.scores").ok_or("its calibration scores are missing")?;
    let calibration = Calibration::from_parts(
        scores,
        manifest.calibration.suspects,
        manifest.calibration.tail,
        manifest.calibration.cross_fitted,
    )
    .ok_or("its calibration scores are not finite and ascending")?;
    Ok(Model {
        encoding: manifest.encoding.clone(),
        shape: manifest.shape.clone(),
        members,
        linear,
        calibration,
        held_out: manifest.held_out,
        profile: manifest.profile.clone(),
        provenance: manifest.provenance.clone(),
        golden: manifest.golden.clone(),
    })
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

/// The model must give its golden rows the scores that its maker saw.
fn check_golden_rows(model: &Model, golden: &[Golden]) -> Result<(), String> {
    let fields = model.encoding.fields.len();
    if golden.iter().any(|row| row.cells.len() != fields) {
        return Err("its golden rows do not have its number of fields".into());
    }
    let cells: Vec<f64> = golden.iter().flat_map(Golden::row).collect();
    let policy = Arc::new(Policy::open(fields));
    let mut detector = Detector::new(Arc::new(model.clone()), policy).map_err(|e| e.to_string())?;
    let scores = detector.score(&cells).map_err(|e| e.to_string())?;
    for (index, (row, scored)) in golden.iter().zip(scores).enumerate() {
        let off = (scored.score - row.score).abs();
        if off.is_nan() || off > GOLDEN_TOLERANCE * row.score.abs().max(1.0) {
            return Err(format!(
                "golden row {index} scores {} instead of {}",
                scored.score, row.score
            ));
        }
    }
    Ok(())
}
