//! What a model file says of its model, besides the tensors.

use serde::{Deserialize, Serialize};

use crate::detect::{Golden, HeldOut, Model, Profile, Provenance, Standard, Suspects, Tail};
use crate::features::Encoding;
use crate::vae::Shape;

/// The format that this version writes, and the one that it reads.
pub const FORMAT: u32 = 2;

/// The manifest: one canonical JSON text under one key of the header, because the header's own
/// keys have no fixed order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// SHA-256 of the tensors' bytes, hexadecimal.
    pub tensors_sha256: String,
    pub schema_fingerprint: String,
    pub provenance: Provenance,
    pub encoding: Encoding,
    pub shape: Shape,
    pub members: Vec<ManifestMember>,
    pub calibration: ManifestCalibration,
    pub held_out: HeldOut,
    /// Models of before have none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub profile: Profile,
    pub golden: Vec<Golden>,
}

/// One network of the ensemble; its weights are tensors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ManifestMember {
    /// Least deviation of a numeric field, in scaled units.
    pub floor: f32,
    pub nll: Standard,
    pub code_nll: Standard,
}

/// The calibration less its scores, which are a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ManifestCalibration {
    pub rows: usize,
    /// Those that may be outliers; models of before have left them out.
    #[serde(default)]
    pub suspects: Suspects,
    pub cross_fitted: bool,
    pub tail: Option<Tail>,
}

fn is_empty(profile: &Profile) -> bool {
    profile.fields.is_empty()
}

impl Manifest {
    pub(super) fn of(model: &Model, tensors_sha256: String) -> Manifest {
        Manifest {
            format: FORMAT,
            tensors_sha256,
            schema_fingerprint: model.schema_fingerprint(),
            provenance: model.provenance.clone(),
            encoding: model.encoding.clone(),
            shape: model.shape.clone(),
            members: model
                .members
                .iter()
                .map(|fitted| ManifestMember {
                    floor: fitted.member.floor,
                    nll: fitted.nll,
                    code_nll: fitted.code_nll,
                })
                .collect(),
            calibration: ManifestCalibration {
                rows: model.calibration.rows(),
                suspects: model.calibration.suspects(),
                cross_fitted: model.calibration.cross_fitted,
                tail: model.calibration.tail(),
            },
            held_out: model.held_out,
            profile: model.profile.clone(),
            golden: model.golden.clone(),
        }
    }
}
